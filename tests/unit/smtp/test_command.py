"""Commands fit what the server offers, and no job can say more than its own."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaignd.smtp import command
from campaignd.smtp.command import Capabilities, Unsendable
from tests.fakes.jobs import make_job

ALL = Capabilities(pipelining=True, eight_bit=True, smtputf8=True, size=10_000_000)
NONE = Capabilities()


def test_capabilities_of_ehlo() -> None:
    offered = Capabilities.from_ehlo(
        {"pipelining": "", "8bitmime": "", "size": " 1000 ", "starttls": "", "auth": "PLAIN"}
    )
    assert offered == Capabilities(pipelining=True, eight_bit=True, smtputf8=False, size=1000)
    assert Capabilities.from_ehlo({}) == NONE


@pytest.mark.parametrize("parameter", ["", "0", "many", "-1", "²", "1e3"])
def test_size_without_a_number_is_no_limit(parameter: str) -> None:
    assert Capabilities.from_ehlo({"size": parameter}).size == 0


def test_a_group_says_only_what_is_offered_and_needed() -> None:
    job = make_job(7)
    size = len(job.message) - 3
    assert command.group(job, NONE) == (
        b"MAIL FROM:<news@acme.example>\r\nRCPT TO:<user7@example.com>\r\nDATA\r\n"
    )
    assert command.group(job, ALL) == (
        b"MAIL FROM:<news@acme.example> SIZE=%d\r\nRCPT TO:<user7@example.com>\r\nDATA\r\n" % size
    )
    job.eight_bit = job.smtputf8 = True
    assert command.mail(job, ALL) == (
        b"MAIL FROM:<news@acme.example> SIZE=%d BODY=8BITMIME SMTPUTF8\r\n" % size
    )


@given(st.booleans(), st.booleans(), st.sampled_from([None, 0, 1_000]))
def test_a_group_is_its_commands(eight_bit: bool, smtputf8: bool, size: int | None) -> None:
    offered = ALL._replace(size=size)
    job = make_job(eight_bit=eight_bit, smtputf8=smtputf8)
    assert command.group(job, offered) == (
        command.mail(job, offered) + command.rcpt(job) + command.DATA
    )


def test_a_bounce_has_no_sender() -> None:
    job = make_job(sender=b"")
    command.prepare(job, NONE)
    assert command.mail(job, NONE) == b"MAIL FROM:<>\r\n"


def test_without_8bitmime_the_message_is_composed_anew() -> None:
    job = make_job(message=b"\xc3\xa9\r\n.\r\n", eight_bit=True, recode=lambda: b"=C3=A9\r\n.\r\n")
    command.prepare(job, ALL)
    assert job.eight_bit
    command.prepare(job, NONE)
    assert (job.message, job.eight_bit) == (b"=C3=A9\r\n.\r\n", False)


def refused(offered: Capabilities, **kwargs: object) -> str:
    with pytest.raises(Unsendable) as caught:
        command.prepare(make_job(**kwargs), offered)  # type: ignore[arg-type]
    return caught.value.enhanced


def test_what_cannot_be_sent_says_why() -> None:
    assert refused(NONE, eight_bit=True) == "5.6.3"
    assert refused(NONE, smtputf8=True) == "5.6.7"
    assert refused(NONE, eight_bit=True, smtputf8=True) == "5.6.7", "8BITMIME would not do"
    assert refused(Capabilities(size=5), message=b"123456\r\n.\r\n") == "5.3.4"
    assert refused(ALL, recipient=b"") == "5.1.3"
    assert refused(ALL, recipient=b"a" * 243 + b"@example.com") == "5.1.3"
    assert refused(ALL, sender=b"a" * 243 + b"@example.com") == "5.1.7"
    assert refused(ALL, recipient="jürgen@example.com".encode()) == "5.1.3"
    assert refused(ALL, message=b"no dot\r\n") == "5.6.0"
    assert refused(ALL, message=b"\n.\r\n") == "5.6.0"


def test_size_counts_what_the_server_counts() -> None:
    job = make_job(message=b"123456\r\n.\r\n")
    command.prepare(job, Capabilities(size=8))  # the final dot and its end are not counted
    with pytest.raises(Unsendable):
        command.prepare(job, Capabilities(size=7))


def test_a_shared_tail_counts_too() -> None:
    job = make_job(message=b"1234", tail=b"56\r\n.\r\n")
    command.prepare(job, Capabilities(size=8))
    assert b" SIZE=8\r\n" in command.group(job, ALL)
    assert command.mail(job, ALL).endswith(b" SIZE=8\r\n")
    assert refused(Capabilities(size=7), message=job.message, tail=job.tail) == "5.3.4"
    assert refused(ALL, message=job.message, tail=b"no dot") == "5.6.0"
    assert refused(ALL, message=b"1234\r\n.\r\n", tail=b"no dot") == "5.6.0"


def test_smtputf8_addresses() -> None:
    job = make_job(recipient="jürgen@exämple.com".encode(), smtputf8=True)
    command.prepare(job, ALL)
    assert b"RCPT TO:<j\xc3\xbcrgen@" in command.group(job, ALL)


nasty = st.one_of(
    st.binary(max_size=30),
    st.sampled_from([b"a@b>\r\nRCPT TO:<x@y", b"a@b\nDATA", b"a@b> SIZE=1", b"a b@c", b"a\x00@b"]),
)


@given(nasty, nasty, st.booleans())
def test_nothing_is_injected(sender: bytes, recipient: bytes, smtputf8: bool) -> None:
    job = make_job(sender=sender, recipient=recipient, smtputf8=smtputf8)
    try:
        command.prepare(job, ALL)
    except Unsendable:
        return
    said = command.group(job, ALL)
    assert re.fullmatch(
        rb"MAIL FROM:<[^\x00-\x20<>\x7f]*> SIZE=\d+( SMTPUTF8)?\r\n"
        rb"RCPT TO:<[^\x00-\x20<>\x7f]+>\r\nDATA\r\n",
        said,
    )
