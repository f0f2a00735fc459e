"""What comes back after a campaign: somebody unsubscribes, a mailbox turns out not to exist.

These are the far ends: a mailbox provider that follows List-Unsubscribe, and a mail server that
returns a message it had taken. They know no more than the messages told them.
"""

from __future__ import annotations

import http.client
import smtplib
from email import message_from_bytes
from email.policy import default as reading
from typing import Final
from urllib.parse import urlsplit

from campaignd.errors import UsageError

_SECONDS: Final = 20.0
"""For an answer from a process on this machine."""

_DSN: Final = """\
From: Mail Delivery System <mailer-daemon@mx.example>
To: <{to}>
Subject: Undelivered Mail Returned to Sender
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="parts"

--parts

<{address}>: there is no such mailbox here

--parts
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example

Final-Recipient: rfc822; {address}
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 there is no such mailbox here

--parts--
"""


def one_click_url(message: bytes) -> str:
    """The https address in a message's List-Unsubscribe. Raises UsageError without one."""
    parsed = message_from_bytes(message, policy=reading)
    for part in str(parsed.get("List-Unsubscribe", "")).split(","):
        url = part.strip().removeprefix("<").removesuffix(">")
        if url.startswith("https://"):
            return url
    raise UsageError("the message has no https address in List-Unsubscribe")


def unsubscribe(url: str, host: str, port: int) -> int:
    """The POST of RFC 8058, to the server that the proxy for `url` would hand it to; the status
    that it answers."""
    connection = http.client.HTTPConnection(host, port, timeout=_SECONDS)
    try:
        headers = {
            "Host": urlsplit(url).netloc,
            "Content-Type": "application/x-www-form-urlencoded",
        }
        connection.request("POST", urlsplit(url).path, "List-Unsubscribe=One-Click", headers)
        return connection.getresponse().status
    except OSError as error:
        raise UsageError(f"`campaignd web` does not answer: {error}") from None
    finally:
        connection.close()


def bounce(return_path: str, address: str, host: str, port: int) -> None:
    """Hands a DSN (RFC 3464) to `campaignd receive` at its LMTP port: there is no such mailbox as
    `address`. Raises UsageError if it is not taken."""
    try:
        with smtplib.LMTP(host, port, timeout=_SECONDS) as client:
            client.sendmail("", [return_path], _DSN.format(to=return_path, address=address))
    except (OSError, smtplib.SMTPException) as error:
        raise UsageError(f"`campaignd receive` did not take the bounce: {error}") from None
