"""The job of a campaign as it is usually written: a hundred recipients to a task.

Reads them from MySQL, renders Jinja2 templates, builds messages with the standard library's
`email`, sends them over a session that stays open, and records what was answered, in one
transaction. Synchronous; one instance to a process. It knows nothing of Celery.
"""

from __future__ import annotations

import json
import smtplib
from collections.abc import Sequence
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.utils import formatdate, make_msgid
from typing import Any, Final

import jinja2
import msgspec
import pymysql

BATCH: Final = 100

TABLES: Final = (
    """
    CREATE TABLE recipients (
        id INT NOT NULL PRIMARY KEY, email VARCHAR(320) NOT NULL, fields TEXT NOT NULL
    ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4
    """,
    """
    CREATE TABLE ledger (
        recipient INT NOT NULL PRIMARY KEY, code SMALLINT NOT NULL,
        response VARCHAR(500) NOT NULL, at DATETIME(3) NOT NULL
    ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4
    """,
)


class Campaign(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker has to know, as JSON in its environment."""

    mysql_socket: str
    database: str
    host: str
    port: int
    sender: str
    subject: str
    text: str
    html: str
    """The templates themselves."""


class BatchJob:
    """Connections and compiled templates of one worker process."""

    def __init__(self, campaign: Campaign) -> None:
        self._campaign = campaign
        plain = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)
        markup = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=True)
        self._subject = plain.from_string(campaign.subject)
        self._text = plain.from_string(campaign.text)
        self._html = markup.from_string(campaign.html)
        self._mysql = pymysql.connect(
            unix_socket=campaign.mysql_socket,
            user="campaignd",
            database=campaign.database,
            charset="utf8mb4",
        )
        self._smtp = smtplib.SMTP(campaign.host, campaign.port, local_hostname="localhost")

    def run(self, first: int, last: int) -> None:
        """Sends to the recipients from `first` to `last` and records it."""
        with self._mysql.cursor() as cursor:
            cursor.execute(
                "SELECT id, email, fields FROM recipients WHERE id BETWEEN %s AND %s", (first, last)
            )
            facts = [self._send(*row) for row in cursor.fetchall()]
            cursor.executemany(
                "INSERT INTO ledger (recipient, code, response, at) VALUES (%s, %s, %s, NOW(3))",
                facts,
            )
        self._mysql.commit()

    def _send(self, number: int, email: str, fields: str) -> tuple[int, int, str]:
        sender = self._campaign.sender
        message = self.compose(email, json.loads(fields))
        try:
            self._smtp.sendmail(sender, [email], message)
        except smtplib.SMTPRecipientsRefused as error:
            code, response = error.recipients[email]
        except smtplib.SMTPResponseException as error:
            code, response = error.smtp_code, bytes(error.smtp_error)  # type: ignore[arg-type]
        else:
            code, response = 250, b""
        return number, code, response.decode("utf-8", "replace")[:500]

    def compose(self, email: str, fields: dict[str, Any]) -> bytes:
        """The older classes of `email`, which are several times faster than EmailMessage."""
        message = MIMEMultipart("alternative")
        message["From"] = f"Acme <{self._campaign.sender}>"
        message["To"] = email
        message["Subject"] = self._subject.render(fields)
        message["Date"] = formatdate()
        message["Message-ID"] = make_msgid(domain="acme.example")
        message["X-Campaign"] = "spring"
        message.attach(MIMEText(self._text.render(fields)))
        message.attach(MIMEText(self._html.render(fields), "html"))
        return message.as_bytes()


def batches(count: int) -> Sequence[tuple[int, int]]:
    """First and last recipient of each task; they are numbered from 1."""
    return [(first, min(first + BATCH - 1, count)) for first in range(1, count + 1, BATCH)]
