"""Addresses, against the grammar of RFC 5321 and all that an accepted one passes through later."""

from __future__ import annotations

import re
from email import message_from_bytes
from email.policy import default

from campaignd.audience.address import Address, parse_address
from campaignd.compose import CampaignSpec, Composer
from campaignd.errors import RowError
from campaignd.model import Job, SendRight
from campaignd.smtp.command import Capabilities, prepare, rcpt
from tests.fuzz import nasty
from tests.fuzz.choices import Choices

_ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]"
_QTEXT = r"[\x20-\x21\x23-\x5b\x5d-\x7e]|\\[\x20-\x7e]"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_U = r"[\u0080-\U0010ffff]"
_MAILBOX = re.compile(
    rf'(?P<local>(?:{_ATEXT}|{_U})+(?:\.(?:{_ATEXT}|{_U})+)*|"(?:{_QTEXT}|{_U})*")'
    rf"@(?P<domain>{_LABEL}(?:\.{_LABEL})*)"
)
"""RFC 5321, 4.1.2 Mailbox, without address literals, with the local parts of RFC 6531, 3.3."""

_PLAIN = re.compile(rf"{_ATEXT}+(?:\.{_ATEXT}+)*@(?:{_LABEL}\.)+[A-Za-z]{{2,63}}")
_PIECES = ("a", "@", ".", "-", "example.com", "a@b.example", '"', "\\", "xn--", "é", "b.c", "[::1]")
_ODD = (" ", "\t", "\0", "\r\n", "<", ">", ",", "\u3002", "\u200d", "\u00ad", "ß", "\u0131", "1")

_COMPOSER = Composer(
    CampaignSpec(
        name="n",
        account="a",
        sender="news@acme.example",
        envelope_sender="news@acme.example",
        subject="x",
        text="{{ email }}",
    ),
    1,
    [],
)
_ALL = Capabilities(pipelining=True, eight_bit=True, smtputf8=True)


def run(data: bytes) -> None:
    choices = Choices(data)
    if choices.flag():
        text = choices.rest().decode("utf-8", "surrogateescape")
    elif choices.flag():
        text = "".join(choices.pick(_PIECES + _ODD) for _ in range(choices.number(0, 20)))
    else:
        text = nasty.text(choices) + "@" + nasty.text(choices)
    try:
        address = parse_address(text)
    except RowError as error:
        assert str(error)
        assert not _surely_valid(text), f"refused {text!r}: {error}"
        return
    _check(address)


def _surely_valid(text: str) -> bool:
    local = text.partition("@")[0]
    return (
        len(local) <= 64
        and len(text) <= 254
        and _PLAIN.fullmatch(text) is not None
        and "xn--" not in text.lower()
    )


def _check(address: Address) -> None:
    mailbox = address.mailbox
    match = _MAILBOX.fullmatch(mailbox)
    assert match, mailbox
    assert len(match["local"].encode()) <= 64
    assert len(mailbox.encode()) <= 254
    assert address.smtputf8 == (not mailbox.isascii())
    assert not re.search(r"[\s<>\x00-\x20\x7f]", mailbox)
    assert parse_address(mailbox) == address
    assert parse_address(f" {match['local']}@{match['domain'].upper()}\t").key == address.key
    _check_sent(mailbox)


def _check_sent(mailbox: str) -> None:
    """It stands in RCPT and in To as it is, and is one address there."""
    if "=?" in mailbox:  # which a reader of To may take for an encoded word
        return
    composed = _COMPOSER.compose(0, 1, mailbox, (), date=b"x", eight_bit=True)
    raw = mailbox.encode()
    job = Job(None, SendRight(0.0), 1, 1, False, b"", raw, composed.message)
    job.smtputf8, job.eight_bit = composed.smtputf8, composed.eight_bit
    prepare(job, _ALL)
    assert rcpt(job) == b"RCPT TO:<%b>\r\n" % raw
    assert b"\r\nTo: %b\r\n" % raw in composed.message
    if mailbox.isascii():
        to = message_from_bytes(composed.message, policy=default)["To"]
        (one,) = to.addresses
        local, _, domain = mailbox.rpartition("@")
        if local.startswith('"'):
            local = re.sub(r"\\(.)", r"\1", local[1:-1])
        assert (one.username, one.domain) == (local, domain), one
