"""What is an address and what is not, and the form it is stored in."""

from __future__ import annotations

import hashlib
import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaignd.audience.address import NORMAL, PLAIN_OCTETS, Address, parse_address
from campaignd.errors import RowError

ATEXT = string.ascii_letters + string.digits + "!#$%&'*+/=?^_`{|}~-"
LABEL = st.from_regex(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,20}[A-Za-z0-9])?", fullmatch=True).filter(
    lambda label: not label.lower().startswith("xn--")
)
ATOM = st.text(ATEXT, min_size=1, max_size=12)
LOCAL = st.lists(ATOM, min_size=1, max_size=4).map(".".join)
DOMAIN = st.tuples(
    st.lists(LABEL, min_size=1, max_size=3).map(".".join),
    st.text(string.ascii_letters, min_size=2, max_size=6),
).map(".".join)


@pytest.mark.parametrize(
    ("text", "mailbox"),
    [
        ("a@b.de", "a@b.de"),
        ("  a@b.de\t", "a@b.de"),
        ("First.Last+tag@Example.COM", "First.Last+tag@example.com"),
        ("o'brien@example.com", "o'brien@example.com"),
        ("a@sub-domain.example.museum", "a@sub-domain.example.museum"),
        ("a@exämple.de", "a@xn--exmple-cua.de"),
        ("a@EXÄMPLE.DE", "a@xn--exmple-cua.de"),
        ("a@例え。jp", "a@xn--r8jz45g.jp"),
        ("a@XN--EXMPLE-CUA.de", "a@xn--exmple-cua.de"),
        ("a@faß.de", "a@xn--fa-hia.de"),
        ('"quoted.@local"@b.de', '"quoted.@local"@b.de'),
        (r'"a\"b"@b.de', r'"a\"b"@b.de'),
        ("x" * 64 + "@b.de", "x" * 64 + "@b.de"),
        ("a@" + "x" * 63 + ".de", "a@" + "x" * 63 + ".de"),
        ("a@1and1.com", "a@1and1.com"),
    ],
)
def test_valid(text: str, mailbox: str) -> None:
    key = hashlib.md5(mailbox.encode()).digest()
    assert parse_address(text) == Address(mailbox, key, False)


@pytest.mark.parametrize("text", ["ü@b.de", "用户@例え.jp", "i❤you@b.de", "نام\u200cه@b.de"])
def test_smtputf8_local_part_is_kept_and_marked(text: str) -> None:
    address = parse_address(text)
    assert address.mailbox.startswith(text.rpartition("@")[0] + "@")
    assert address.smtputf8
    assert address.mailbox.rpartition("@")[2].isascii()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no address"),
        ("   ", "no address"),
        ("plain", "needs an @"),
        ("@b.de", "nothing before"),
        ("a@", "nothing after"),
        ("a@b@c.de", "more than one @"),
        (".a@b.de", "dot is misplaced before"),
        ("a.@b.de", "dot is misplaced before"),
        ("a..b@c.de", "dot is misplaced before"),
        ("a@.b.de", "dot is misplaced in the domain"),
        ("a@b.de.", "dot is misplaced in the domain"),
        ("a@b..de", "dot is misplaced in the domain"),
        ("a@localhost", "no dot"),
        ("a@-b.de", "not a host name"),
        ("a@b-.de", "not a host name"),
        ("a@b_c.de", "not a host name"),
        ("a@192.0.2.1", "ends in a number"),
        ("a@[192.0.2.1]", "literal"),
        ("a b@c.de", "space"),
        ("a@b .de", "space"),
        ("a\u00a0b@c.de", "space"),
        ("<a@b.de>", "bare address"),
        ("Anna <a@b.de", "bare address"),
        ("a(comment)@b.de", r"\( is not allowed"),
        ("a,b@c.de", ", is not allowed"),
        ("a@b.de\r\nBcc: c@d.de", "control character"),
        ("a\x00@b.de", r"control character \(U\+0000\)"),
        ("a@b\x7f.de", "control character"),
        ("\u202ea@b.de", "control character"),
        ("\ufeffa@b.de", "control character"),
        ("a\ud800@b.de", "control character"),
        ('"a@b.de', "quoted part"),
        ('"a"b"@c.de', "quoted part"),
        ('"a b"@c.de', "space"),
        ("x" * 65 + "@b.de", "longer than 64"),
        ("ü" * 33 + "@b.de", "longer than 64"),
        ("a@" + "x" * 64 + ".de", "longer than 63"),
        ("a@" + ".".join(["x" * 60] * 5) + ".de", "longer than 254"),
        ("x" * 60 + "@" + ".".join(["x" * 60] * 4), "longer than 254"),
        ("a@" + "ü" * 60 + ".de", "internationalised"),
        ("a@" + "ü" * 100_000 + ".de", "longer than 254"),
        ("a@xn--999999999.de", "internationalised"),
    ],
)
def test_invalid(text: str, reason: str) -> None:
    with pytest.raises(RowError, match=reason):
        parse_address(text)


@given(LOCAL.filter(lambda local: len(local) <= 64), DOMAIN)
def test_every_short_dot_atom_is_valid(local: str, domain: str) -> None:
    assert parse_address(f"{local}@{domain}").mailbox == f"{local}@{domain.lower()}"


@given(st.one_of(st.text(max_size=80), st.tuples(st.text(), st.text()).map("@".join)))
def test_whatever_is_accepted_is_safe_and_stable(text: str) -> None:
    try:
        address = parse_address(text)
    except RowError:
        return
    local, _, domain = address.mailbox.rpartition("@")
    octets = address.mailbox.encode()
    assert len(local.encode()) <= 64
    assert len(octets) <= 254
    assert domain.isascii()
    assert domain == domain.lower()
    assert "." in domain
    assert not set(address.mailbox) & set("<> \r\n\0\t")
    assert address.smtputf8 is not local.isascii()
    assert parse_address(address.mailbox) == address


@given(LOCAL, DOMAIN)
def test_duplicates_differ_in_the_case_of_the_domain_only(local: str, domain: str) -> None:
    if len(local) > 64:
        return
    first = parse_address(f"{local}@{domain}")
    assert parse_address(f"{local}@{domain.swapcase()}").key == first.key
    if local.swapcase() != local:
        assert parse_address(f"{local.swapcase()}@{domain}").key != first.key


@given(st.tuples(LOCAL, DOMAIN).map("@".join) | st.from_regex(NORMAL))
def test_what_is_normal_is_stored_as_it_is(text: str) -> None:
    if len(text) <= PLAIN_OCTETS and re.match(NORMAL, text):
        assert parse_address(text).mailbox == text
    else:
        assert text != text.lower() or "--" in text or len(text) > PLAIN_OCTETS
