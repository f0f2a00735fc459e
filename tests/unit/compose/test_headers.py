from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable
from email import message_from_bytes
from email.header import decode_header, make_header
from email.policy import compat32, default

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from campaignd.compose.headers import (
    LINE,
    MAX_VALUE_CHARACTERS,
    date_header,
    mailbox,
    normal,
    unstructured,
)
from campaignd.errors import RowError

NAMES = st.sampled_from(["Subject", "X-A", "X-" + "n" * 38])
TEXTS = st.one_of(
    st.text(),
    st.text(alphabet="ab \r\n\t\0é=?\u2028\ud800"),
    st.lists(st.sampled_from(["word", "x" * 80, " ", "  ", "é", "=?utf-8?q?a?=", "😀"])).map(
        " ".join
    ),
    st.integers(0, 2_000).map(lambda length: "x" * length),
    st.integers(0, 2_000).map(lambda length: "é" * length),
    st.integers(0, 200).map(lambda length: " " * length + "x" + " " * length + "y"),
)


@given(name=NAMES, text=TEXTS)
@example(name="Subject", text="a" + " " * 100 + "b")
@example(name="Subject", text="a " * 100)
@example(name="Subject", text="x" * 70 + " " * 9 + "y" * 990)
def test_an_unstructured_value_reads_back_and_stays_on_its_lines(name: str, text: str) -> None:
    value = unstructured(text, name)
    field = name.encode() + b": " + value + b"\r\n"
    lines = field.split(b"\r\n")[:-1]
    assert value.isascii()
    assert b"\0" not in value
    assert b"\r" not in value.replace(b"\r\n", b"")
    assert b"\n" not in value.replace(b"\r\n", b"")
    assert all(line.startswith(b" ") and line.strip() for line in lines[1:])
    assert all(len(line) <= 998 for line in lines)
    if b"=?utf-8?b?" in value:
        assert all(len(line) <= 76 for line in lines)
        for word in value.split(b"\r\n "):
            b64decode(word.removeprefix(b"=?utf-8?b?").removesuffix(b"?=")).decode("utf-8")
    message = message_from_bytes(field + b"Next: x\r\n\r\nbody", policy=default)
    assert message.keys() == [name, "Next"]
    assert message[name] == normal(text)
    assert not message.defects


@given(name=st.sampled_from(["From", "Reply-To"]), display=TEXTS)
def test_a_mailbox_reads_back(name: str, display: str) -> None:
    value = mailbox(display, b"news@acme.example", name)
    message = message_from_bytes(name.encode() + b": " + value + b"\r\n\r\n", policy=default)
    assert message.keys() == [name]
    (found,) = message[name].addresses
    assert found.addr_spec == "news@acme.example"
    raw = message_from_bytes(name.encode() + b": " + value + b"\r\n\r\n", policy=compat32)[name]
    phrase = "".join(raw.splitlines()).removesuffix("<news@acme.example>").strip()
    if phrase.startswith('"'):
        assert found.display_name == normal(display)
    elif phrase != "news@acme.example":
        assert str(make_header(decode_header(phrase))) == normal(display)
    else:
        assert normal(display) == ""


def test_lines_are_folded_at_spaces() -> None:
    value = unstructured("word " * 40, "Subject")
    lines = (b"Subject: " + value).split(b"\r\n")
    assert len(lines) == 3
    assert all(len(line) <= LINE for line in lines)


def test_a_short_ascii_value_is_left_alone() -> None:
    assert unstructured("Hi  Ada", "Subject") == b"Hi  Ada"


@pytest.mark.parametrize("make", [unstructured, lambda text, name: mailbox(text, b"a@b.c", name)])
def test_values_are_bounded(make: Callable[[str, str], bytes]) -> None:
    make("x" * MAX_VALUE_CHARACTERS, "Subject")
    with pytest.raises(RowError, match="Subject is longer than 20000 characters"):
        make("x" * (MAX_VALUE_CHARACTERS + 1), "Subject")


def test_the_date_is_of_rfc_5322_in_utc() -> None:
    assert date_header(0.0) == b"Thu, 01 Jan 1970 00:00:00 +0000"
