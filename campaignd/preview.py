"""The message that one recipient of an audience would get, for people to look at.

Reads the audience as `enqueue` does, without a database.
"""

from __future__ import annotations

import re
import time
from base64 import b64encode
from collections.abc import Sequence
from email import message_from_bytes
from email.message import Message
from email.policy import default as reading
from typing import Any, Final, NamedTuple

import orjson

from campaignd.audience.prepare import prepare
from campaignd.audience.rows import NO_ROWS, Rows
from campaignd.audience.source import FileSource, opened
from campaignd.compose.composer import Composed, Composer
from campaignd.compose.headers import date_header
from campaignd.compose.links import Links
from campaignd.compose.spec import CampaignSpec
from campaignd.errors import CampaignError, RowError, UsageError
from campaignd.wording import plural

UNFILED: Final = 0
"""Stands for a campaign's id where there is no campaign; real ones begin with 1. A token with it
unsubscribes nobody."""

_SEQ_BITS: Final = 16
"""What a token has room for; rows of an input may be more."""

_SHOWN_HEADERS: Final = ("From", "Reply-To", "To", "Subject", "Date", "Message-ID")


class Picked(NamedTuple):
    """A recipient of an audience that is not enqueued."""

    number: int
    """Of the input row, counted from 1, the CSV header not included."""
    address: str
    fields: Sequence[str]
    values: Sequence[Any]


async def pick(source: FileSource, number: int) -> Picked:
    """The recipient in row `number`. Raises UsageError if there is none, or it is unusable."""
    reader = source.reader([])
    with opened(source) as data:
        await data.read_head()
        left = number - 1
        seen = 0
        while True:
            piece = await data.read()
            rows = reader.feed(piece) if piece else reader.finish()
            seen += rows.size
            if left < rows.size:
                return _picked(rows.after(left), number, reader.fields)
            left -= rows.size
            if not piece:
                raise UsageError(f"--row {number}: there are only {plural(seen, 'row')}")


def _picked(rows: Rows, number: int, fields: Sequence[str]) -> Picked:
    line = min([*rows.lines, *(reject.line for reject in rows.rejects)])
    rejects = [reject for reject in rows.rejects if reject.line == line]
    first = NO_ROWS._replace(rejects=rejects)
    if not rejects:
        first = Rows(rows.lines[:1], rows.emails[:1], rows.values[:1], [])
    prepared = prepare(first)
    for reject in prepared.rejects:
        raise UsageError(f"row {number} (line {line}) would be rejected: {reject.reason}")
    ((_, _, mailbox, values),) = prepared.recipients.values()
    return Picked(number, mailbox, fields, orjson.loads(values))


def compose(
    spec: CampaignSpec, picked: Picked, *, links: Links | None = None, run: int = 0
) -> Composed:
    """The message. Another `run` gives another Message-ID.

    Raises TemplateError, and CampaignError if this recipient would be rejected.
    """
    composer = Composer(spec, UNFILED, picked.fields, links)
    try:
        return composer.compose(
            run,
            picked.number % 2**_SEQ_BITS,
            picked.address,
            picked.values,
            date=date_header(time.time()),
            eight_bit=False,
        )
    except RowError as error:
        raise CampaignError(f"{picked.address} would be rejected: {error}") from None


def content(message: bytes) -> bytes:
    """A message as RFC 5322 has it: without the dots that SMTP adds (RFC 5321, 4.5.2)."""
    return message.removesuffix(b".\r\n").replace(b"\r\n..", b"\r\n.")


def readable(message: bytes) -> str:
    """A message (RFC 5322) with its headers and parts decoded, for people."""
    parsed = message_from_bytes(message, policy=reading)
    known = [(name, str(parsed[name])) for name in _SHOWN_HEADERS if name in parsed]
    shown = {name.lower() for name in _SHOWN_HEADERS}
    others = [
        (name, str(value))
        for name, value in parsed.items()
        if name.lower() not in shown and not name.lower().startswith(("content-", "mime-"))
    ]
    pieces = ["\n".join(f"{name}: {value}" for name, value in known + others)]
    for part in parsed.walk():
        if part.is_multipart():
            continue
        if part.get_content_disposition() is None:
            text = part.get_content().replace("\r\n", "\n").rstrip("\n")
        else:
            size = len(_octets(part))
            text = f"{part.get_content_disposition()} {part.get_filename()}, {size:,} octets"
        pieces.append(f"--- {part.get_content_type()}\n{text}")
    return "\n\n".join(pieces) + "\n"


def page(message: bytes) -> str | None:
    """The HTML of a message (RFC 5322) with its inline images in it, for a browser; None if it
    has none."""
    parsed = message_from_bytes(message, policy=reading)
    body = parsed.get_body(("html",))
    if body is None:
        return None
    html: str = body.get_content()
    for part in parsed.walk():
        if part["Content-ID"]:
            cid = re.escape(str(part["Content-ID"]).strip("<>"))
            data = b64encode(_octets(part)).decode("ascii")
            html = re.sub(
                rf"cid:{cid}(?=[\s\"'<>)])", f"data:{part.get_content_type()};base64,{data}", html
            )
    return html


def _octets(part: Message) -> bytes:
    data = part.get_payload(decode=True)
    return data if isinstance(data, bytes) else b""
