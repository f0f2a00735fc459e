"""Recipients as the text of an INSERT: their numbers and their quoting."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st
from pymysql.converters import escape_string

from campaignd.model import SHARD_SIZE
from campaignd.store.audience import insert_statement
from campaignd.store.sql.literal import escape


def numbers(total: int, count: int) -> list[tuple[int, int]]:
    recipients = [(0, bytes([1] * 16), "a@b.de", b"[]")] * count
    found = re.findall(r"\(3,(\d+),(\d+),'", insert_statement(3, total, recipients))
    return [(int(shard), int(seq)) for shard, seq in found]


def test_numbers_have_no_gap_across_shards() -> None:
    assert numbers(0, 2) == [(0, 1), (0, 2)]
    assert numbers(SHARD_SIZE - 1, 2) == [(0, SHARD_SIZE), (1, 1)]
    assert numbers(3 * SHARD_SIZE, 1) == [(3, 1)]


@given(st.integers(0, 3 * SHARD_SIZE), st.integers(1, 50))
def test_number_n_is_where_it_belongs(total: int, count: int) -> None:
    expected = [(n // SHARD_SIZE, n % SHARD_SIZE + 1) for n in range(total, total + count)]
    assert numbers(total, count) == expected


def test_values_are_quoted() -> None:
    recipient = (5, bytes.fromhex("00ff" * 8), "o'b\\@b.de", b'["it\'s","\\n"]')
    assert insert_statement(1, 0, [recipient]).endswith(
        "(1,0,1,'o\\'b\\\\@b.de',x'" + "00ff" * 8 + "','[\"it\\'s\",\"\\\\n\"]')"
    )


@given(st.text())
def test_escape_leaves_no_quote_that_ends_the_literal(text: str) -> None:
    escaped = escape(text)
    assert re.sub(r"\\(.)", r"\1", escaped, flags=re.DOTALL) == text
    assert not re.search(r"(?<!\\)(?:\\\\)*'", escaped)


@given(st.text(st.characters(exclude_characters='\0\n\r\x1a"')))
def test_escape_agrees_with_the_driver(text: str) -> None:
    assert escape(text) == escape_string(text)
