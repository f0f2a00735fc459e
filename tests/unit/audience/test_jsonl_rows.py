"""JSON Lines in, rows and rejects out."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaignd.audience.jsonl_rows import JsonlReader
from campaignd.audience.rows import LINE_OCTETS, Reject, Rows, joined
from campaignd.errors import UsageError


def read(data: bytes, piece: int = 1 << 20, known: tuple[str, ...] = ()) -> tuple[list[str], Rows]:
    reader = JsonlReader(known)
    parts = [reader.feed(data[at : at + piece]) for at in range(0, len(data), piece)]
    parts.append(reader.finish())
    return list(reader.fields), joined(parts)


def test_scalars_keep_their_type() -> None:
    fields, rows = read(b'{"name":"A","email":"a@b.de","n":1,"f":1.5,"t":true,"z":null}\n')
    assert fields == ["name", "n", "f", "t", "z"]
    assert rows.emails == ["a@b.de"]
    assert rows.values == [["A", 1, 1.5, True, None]]


@pytest.mark.parametrize("piece", [1, 5, 1000])
def test_fields_grow_in_the_order_in_which_they_appear(piece: int) -> None:
    fields, rows = read(
        b'\xef\xbb\xbf{"email":"a@b.de","x":1}\r\n\r\n{"y":2,"email":"b@b.de"}\n{"email":"c@b.de"}',
        piece,
    )
    assert fields == ["x", "y"]
    assert rows.values == [[1], [None, 2], []]
    assert list(rows.lines) == [1, 3, 4]


def test_fields_of_an_earlier_reading_keep_their_place() -> None:
    fields, rows = read(b'{"email":"a@b.de","y":2,"z":3}', known=("x", "y"))
    assert fields == ["x", "y", "z"]
    assert rows.values == [[None, 2, 3]]


def test_the_case_of_email_does_not_matter() -> None:
    assert read(b'{"Email":"a@b.de","x":1}\n')[1].emails == ["a@b.de"]


@pytest.mark.parametrize(
    ("line", "email", "reason"),
    [
        (b"[1]", "", "not a JSON object"),
        (b'"a@b.de"', "", "not a JSON object"),
        (b"{", "", "not JSON"),
        (b'{"email":"a@b.de"} x', "", "not JSON"),
        (b'{"email":"a@b.de","x":NaN}', "", "not JSON"),
        (b'{"email":"\xff"}', "", "not valid UTF-8"),
        (b'{"email":"\\ud800"}', "", "not JSON"),
        (b'{"x":1}', "", "no `email`"),
        (b'{"email":5}', "", "`email` is not text"),
        (b'{"email":null}', "", "no `email`"),
        (b'{"email":"a@b.de","x":[1]}', "a@b.de", "`x` is a list"),
        (b'{"email":"a@b.de","x":{"y":1}}', "a@b.de", "`x` is an object"),
        (b'{"email":"a@b.de","":1}', "a@b.de", "without a name"),
        (b"x" * (LINE_OCTETS + 1), "", "not JSON"),
    ],
)
def test_a_bad_line_is_rejected_and_the_next_is_read(line: bytes, email: str, reason: str) -> None:
    _, rows = read(line + b'\n{"email":"z@b.de"}\n')
    assert rows.emails == ["z@b.de"]
    (reject,) = rows.rejects
    assert (reject.line, reject.email) == (1, email)
    assert reason in reject.reason


def test_a_line_without_end_is_skipped() -> None:
    _, rows = read(b"x" * (3 * LINE_OCTETS) + b'\n{"email":"z@b.de"}\n', 65_536)
    assert rows.emails == ["z@b.de"]
    assert list(rows.lines) == [2]
    assert rows.rejects == [Reject(1, "", "a line longer than 256 KB")]


def test_too_many_different_fields_reject_the_row_that_brings_one_more() -> None:
    first = {"email": "a@b.de"} | {f"f{n}": n for n in range(1000)}
    lines = [first, {"email": "b@b.de", "more": 1}, {"email": "c@b.de", "f3": 1}]
    fields, rows = read(b"\n".join(map(orjson.dumps, lines)))
    assert len(fields) == 1000
    assert rows.emails == ["a@b.de", "c@b.de"]
    assert "more than 1,000" in rows.rejects[0].reason


@pytest.mark.parametrize("data", [b"", b"\n \n"])
def test_empty(data: bytes) -> None:
    with pytest.raises(UsageError, match="empty"):
        read(data)


NAME = st.sampled_from(["a", "b", "c d", "é"])
SCALAR = st.one_of(
    st.text(max_size=5), st.integers(-(2**63), 2**63 - 1), st.booleans(), st.none(),
    st.floats(allow_nan=False, allow_infinity=False),
)  # fmt: skip


@given(st.lists(st.dictionaries(NAME, SCALAR), min_size=1), st.integers(1, 60))
def test_every_value_comes_back_under_its_name(rows: list[dict[str, Any]], piece: int) -> None:
    lines = [orjson.dumps({"email": "a@b.de"} | row) for row in rows]
    fields, result = read(b"\n".join(lines) + b"\n", piece)
    assert not result.rejects
    for row, values in zip(rows, result.values, strict=True):
        named = dict(zip(fields, values, strict=False))
        assert {name: value for name, value in named.items() if value is not None} == {
            name: value for name, value in row.items() if value is not None
        }
