"""Rows of a query as text: what the server has quoted, read back; and what it would have quoted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaignd.store.query import Format, RowText, key_of, keyed_text, recipient
from campaignd.store.sql.literal import escape, unescape

FORM = Format(normal="", octets=64, address_most=400, fields_most=100)
KEY = bytes(range(16))


def quote(text: str) -> bytes:
    """As MySQL's QUOTE() does."""
    for sign, meaning in (("\\", "\\\\"), ("'", "\\'"), ("\0", "\\0"), ("\x1a", "\\Z")):
        text = text.replace(sign, meaning)
    return f"'{text}'".encode()


TEXT = st.text(st.characters(codec="utf-8"), max_size=30)


@given(TEXT, TEXT)
def test_what_the_server_quotes_is_read_back(address: str, fields: str) -> None:
    assert FORM.read(quote(address) + b"," + quote(fields)) == (address, fields.encode())
    keyed = b"x'" + KEY.hex().encode() + b"'," + quote(address) + b"," + quote(fields)
    assert FORM.read(keyed) == (address, fields.encode())
    assert recipient(7, keyed) == (7, KEY, address, fields.encode())


@given(TEXT, TEXT)
def test_keyed_text_means_its_values(mailbox: str, fields: str) -> None:
    text = keyed_text(mailbox, KEY, fields.encode())
    assert recipient(1, text) == (1, KEY, mailbox, fields.encode())
    assert key_of(text) == KEY.hex().encode()


@given(TEXT)
def test_unescape_undoes_escape(text: str) -> None:
    assert unescape(escape(text).encode()) == text.encode()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"NULL,'[]'", RowText(None, b"[]")),
        (b"'NULL','[]'", RowText("NULL", b"[]")),
        (b"", RowText(None, None)),
        (b"'a','" + b"f" * 100 + b"'", RowText("a", b"f" * 100)),
        (b"'a','" + b"f" * 101 + b"'", RowText("a", None)),
        (b"'a','" + b"\\'" * 100 + b"'", RowText("a", b"'" * 100)),
        (b"'a','" + b"\\'" * 101, RowText("a", None)),  # cut off
    ],
)
def test_read(text: bytes, expected: RowText) -> None:
    assert FORM.read(text) == expected


def test_only_short_rows_with_a_key_are_stored_as_they_are() -> None:
    assert FORM.keyed(keyed_text("a@b.de", KEY, b"[]"))
    assert not FORM.keyed(keyed_text("a@b.de", KEY, b"f" * 99))
    assert not FORM.keyed(b"'a@b.de','[]'")
    assert not FORM.keyed(b"NULL,'[]'")
    assert not FORM.keyed(b"")
