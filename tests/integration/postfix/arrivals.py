"""What has arrived in a Postfix's Maildir, read with the standard library's `email`."""

from __future__ import annotations

import email
import re
from email.message import EmailMessage
from email.parser import HeaderParser
from email.policy import SMTPUTF8, default
from typing import NamedTuple

from tests.integration.postfix.instance import Postfix

_RECEIVED = re.compile(
    r"from .* by (?P<by>\S+) \(Postfix\) with (?P<protocol>\S+) id (?P<queue_id>\S+)"
    r"(?: for <(?P<recipient>[^>]+)>)?"
).match


class Arrival(NamedTuple):
    """One file of the Maildir."""

    recipient: str
    sender: str
    """The envelope's."""
    queue_id: str
    """Unique for ever."""
    protocol: str
    """Of RFC 3848, such as ESMTPS: with TLS, ESMTPSA: and AUTH, UTF8SMTPS: and SMTPUTF8."""
    received: str
    """The whole trace line."""
    message: EmailMessage
    headers: EmailMessage
    """The headers alone, read as UTF-8, as SMTPUTF8 lets them be (RFC 6532)."""
    raw: bytes


def arrivals(postfix: Postfix) -> list[Arrival]:
    """Everything that Postfix has taken, once it is delivered.

    What it delivered twice by itself, because it crashed after the first time, is one arrival.
    """
    postfix.wait_delivered()
    found = (_read(file.read_bytes()) for file in (postfix.maildir / "new").glob("*"))
    return list({arrival.queue_id: arrival for arrival in found}.values())


def by_recipient(postfix: Postfix) -> dict[str, Arrival]:
    """Raises AssertionError if anybody got more than one message."""
    found = arrivals(postfix)
    sorted_out = {arrival.recipient: arrival for arrival in found}
    assert len(found) == len(sorted_out), "somebody got a message twice"
    return sorted_out


def _read(raw: bytes) -> Arrival:
    message = email.message_from_bytes(raw, policy=default)
    headers = HeaderParser(policy=SMTPUTF8).parsestr(raw.decode())
    assert isinstance(message, EmailMessage)
    assert isinstance(headers, EmailMessage)
    received = " ".join(str(headers["Received"]).split())
    trace = _RECEIVED(received)
    assert trace is not None, received
    return Arrival(
        recipient=str(headers["Delivered-To"]),
        sender=str(headers["Return-Path"]).strip("<>"),
        queue_id=trace["queue_id"],
        protocol=trace["protocol"],
        received=received,
        message=message,
        headers=headers,
        raw=raw,
    )
