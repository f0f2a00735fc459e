"""Reads composed messages back with the standard library, which is what they are judged by."""

from __future__ import annotations

from collections.abc import Callable
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

import pytest

from campaignd.compose import CampaignSpec

Read = Callable[[bytes], EmailMessage]
MakeSpec = Callable[..., CampaignSpec]


def _unstuffed(wire: bytes) -> bytes:
    """The content of a DATA phase as an SMTP server takes it (RFC 5321, 4.5.2), which is also
    where it ends: nothing may follow."""
    lines = wire.split(b"\r\n")
    end = lines.index(b".")
    assert lines[end + 1 :] == [b""], "something follows the final dot"
    return b"".join(line.removeprefix(b".") + b"\r\n" for line in lines[:end])


def _read(wire: bytes) -> EmailMessage:
    content = _unstuffed(wire)
    assert b"\0" not in content
    assert content.count(b"\r") == content.count(b"\n") == content.count(b"\r\n")
    assert max(map(len, content.split(b"\r\n"))) <= 998
    message = message_from_bytes(content, _class=EmailMessage, policy=default)
    assert isinstance(message, EmailMessage)
    assert [defect for part in message.walk() for defect in part.defects] == []
    return message


def _spec(**changes: object) -> CampaignSpec:
    content: dict[str, object] = {
        "name": "Spring",
        "account": "acme",
        "sender": "Acme <news@acme.example>",
        "envelope_sender": "bounces@acme.example",
        "subject": "Hi",
        "text": "Hello\n",
    }
    return CampaignSpec(**(content | changes))  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def read() -> Read:
    """Undoes the transport, checks the wire's rules, and parses."""
    return _read


@pytest.fixture(scope="session")
def make_spec() -> MakeSpec:
    return _spec
