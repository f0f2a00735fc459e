"""Header fields, read back by the standard library's email."""

from __future__ import annotations

import re
from email import message_from_bytes
from email.header import decode_header, make_header
from email.policy import compat32, default
from email.utils import parseaddr

from campaignd.compose.headers import LONGEST_LINE, mailbox, unstructured
from tests.fuzz import nasty
from tests.fuzz.choices import Choices

_ADDRESS = b"news@acme.example"


def run(data: bytes) -> None:
    choices = Choices(data)
    name = choices.pick(("Subject", "X-A", "X-" + "a" * 38))
    text = nasty.text(choices, 12) if choices.flag() else choices.rest().decode("utf-8", "replace")
    field = f"{name}: ".encode() + unstructured(text, name) + b"\r\n"
    _check_lines(field)
    message = message_from_bytes(field + b"Next: 1\r\n\r\n", policy=default)
    assert message.keys() == [name, "Next"]
    assert message[name] == _meant(text), (str(message[name]), _meant(text))

    field = b"From: " + mailbox(text, _ADDRESS, "From") + b"\r\n"
    _check_lines(field)
    old = message_from_bytes(field + b"Next: 1\r\n\r\n", policy=compat32)
    assert old.keys() == ["From", "Next"]
    display, address = parseaddr("".join(old["From"].splitlines()))
    assert address.encode() == _ADDRESS
    assert str(make_header(decode_header(display))) == _meant(text)
    new = message_from_bytes(field + b"\r\n", policy=default)["From"]
    assert [one.addr_spec for one in new.addresses] == [_ADDRESS.decode()]


def _meant(text: str) -> str:
    return re.sub("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+", " ", text).strip(" ")


def _check_lines(field: bytes) -> None:
    assert field.isascii()
    first, *folded = field.removesuffix(b"\r\n").split(b"\r\n")
    for line in (first, *folded):
        assert len(line) <= LONGEST_LINE
        assert not re.search(rb"[\x00-\x1f\x7f]", line), line
    for line in folded:
        assert line.startswith(b" ")
        assert line.strip(b" ")
