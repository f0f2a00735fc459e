"""Results as they stand on the wire: whatever the pieces, the same values."""

from __future__ import annotations

import struct

import pymysql.err
import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaignd.store.wire import RowSplitter

END = b"\xfe\x00\x00\x02\x00"


def packet(payload: bytes, number: int = 0) -> bytes:
    return struct.pack("<I", len(payload))[:3] + bytes([number % 256]) + payload


def value(text: bytes | None) -> bytes:
    if text is None:
        return b"\xfb"
    size = len(text)
    if size < 251:
        return bytes([size]) + text
    if size < 65_536:
        return b"\xfc" + struct.pack("<H", size) + text
    return b"\xfd" + struct.pack("<I", size)[:3] + text


def result(values: list[bytes | None]) -> bytes:
    return b"".join(packet(value(one), number) for number, one in enumerate(values)) + packet(END)


@given(st.lists(st.none() | st.binary(max_size=600), max_size=20), st.integers(1, 700))
def test_pieces_do_not_matter(values: list[bytes | None], size: int) -> None:
    octets = result(values)
    splitter = RowSplitter()
    found = []
    for at in range(0, len(octets), size):
        assert not splitter.done
        found += splitter.feed(octets[at : at + size])
    assert found == [one or b"" for one in values]
    assert splitter.done


@pytest.mark.parametrize("size", [0, 250, 251, 65_535, 65_536, 300_000])
def test_lengths_of_every_form(size: int) -> None:
    assert RowSplitter().feed(result([b"x" * size, b"y"])) == [b"x" * size, b"y"]


def test_an_error_in_the_middle() -> None:
    splitter = RowSplitter()
    error = b"\xff" + struct.pack("<H", 1242) + b"#21000" + b"Subquery returns more than 1 row"
    with pytest.raises(pymysql.err.MySQLError, match="more than 1 row"):
        splitter.feed(packet(value(b"a")) + packet(error))
    assert not splitter.done
