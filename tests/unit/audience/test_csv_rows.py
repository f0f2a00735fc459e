"""CSV in, rows and rejects out, whatever the pieces in which it comes."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaignd.audience.csv_rows import BAD_QUOTE, BAD_UTF8, OPEN_OCTETS, CsvReader
from campaignd.audience.rows import LINE_OCTETS, Reject, Rows, joined
from campaignd.errors import UsageError


def read(data: bytes, piece: int = 1 << 20) -> tuple[list[str], Rows]:
    reader = CsvReader()
    parts = [reader.feed(chunk) for chunk in pieces(data, piece)]
    parts.append(reader.finish())
    return list(reader.fields), joined(parts)


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def table(rows: Rows) -> list[tuple[int, str, list[str]]]:
    return list(zip(rows.lines, rows.emails, rows.values, strict=True))


def test_plain() -> None:
    fields, rows = read(b"first,email,last\nAnna,a@b.de,Berg\nBen,b@b.de,\n")
    assert fields == ["first", "last"]
    assert table(rows) == [(2, "a@b.de", ["Anna", "Berg"]), (3, "b@b.de", ["Ben", ""])]
    assert not rows.rejects


@pytest.mark.parametrize("header", [b"email", b"Email", b"EMAIL", b" e-mail ,eMail", b'"email"'])
def test_the_email_column_is_found_whatever_its_case(header: bytes) -> None:
    row = b",".join([b"a@b.de"] * (header.count(b",") + 1))
    _, rows = read(header + b"\n" + row)
    assert rows.emails == ["a@b.de"]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("piece", [1, 2, 7, 1000])
def test_line_ends_and_pieces(end: bytes, piece: int) -> None:
    data = end.join([b"email,x", b"a@b.de,1", b"", b'b@b.de,"2', b'two"', b"c@b.de,3", b""])
    fields, rows = read(data, piece)
    assert fields == ["x"]
    two = "2" + end.decode() + "two"
    assert table(rows) == [(2, "a@b.de", ["1"]), (4, "b@b.de", [two]), (6, "c@b.de", ["3"])]


def test_byte_order_mark() -> None:
    for piece in (1, 2, 3, 100):
        assert read(b"\xef\xbb\xbfemail,x\na@b.de,1\n", piece)[0] == ["x"]


def test_hundred_columns() -> None:
    names = ["email", *(f"c{n}" for n in range(99))]
    fields, rows = read((",".join(names) + "\na@b.de" + ",v" * 99 + "\n").encode())
    assert fields == names[1:]
    assert rows.values == [["v"] * 99]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (b"\n\n", "empty"),
        (b"name,mail\nAnna,a@b.de\n", "needs a column `email`; it has: name, mail"),
        (b"name;email\nAnna;a@b.de\n", "semicolons"),
        (b"name\temail\nAnna\ta@b.de\n", "tabs"),
        (b"email,a,a\n", "two columns are named 'a'"),
        (b"email,Email\n", "two columns are named 'Email'"),
        (b"email,,b\n", "column 2 has no name"),
        (b"email" + b",x%d" * 1000 % tuple(range(1000)) + b"\n", "more than 1,000 columns"),
        ("email,x\n".encode("utf-16"), "UTF-16"),
        (b"\x00\x01\x02binary", "UTF-16"),
        (b"email,\xff\n", "header is not valid UTF-8"),
        (b'email,"x\n' + b"a@b.de,1\n" * 3, "header cannot be read"),
        (b"e" * (LINE_OCTETS + 1), "header cannot be read"),
    ],
)
def test_unusable(data: bytes, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read(data)


def test_header_only_and_one_row() -> None:
    assert read(b"email,x")[1].size == 0
    assert table(read(b"email\na@b.de")[1]) == [(2, "a@b.de", [])]


def test_wrong_number_of_columns() -> None:
    _, rows = read(b"x,email\n1,a@b.de\n2\n3,c@b.de,z\n4,d@b.de\n")
    assert rows.emails == ["a@b.de", "d@b.de"]
    assert list(rows.lines) == [2, 5]
    assert rows.rejects == [
        Reject(3, "", "1 columns instead of 2"),
        Reject(4, "c@b.de", "3 columns instead of 2"),
    ]


@pytest.mark.parametrize("piece", [1, 9, 1000])
def test_bad_utf8_costs_its_row_only(piece: int) -> None:
    _, rows = read(
        "email,x\nä@b.de,ü\nc@b.de,M\udcfcller\nd@b.de,1\n".encode("utf-8", "surrogateescape"),
        piece,
    )
    assert rows.emails == ["ä@b.de", "d@b.de"]
    assert rows.rejects == [Reject(3, "c@b.de", BAD_UTF8)]


@pytest.mark.parametrize("piece", [1, 10, 1000])
def test_a_quote_that_never_closes_costs_its_row_only(piece: int) -> None:
    _, rows = read(b'email,x\na@b.de,1\nb@b.de,"2\nc@b.de,3\nd@b.de,4\n', piece)
    assert table(rows) == [(2, "a@b.de", ["1"]), (4, "c@b.de", ["3"]), (5, "d@b.de", ["4"])]
    assert rows.rejects == [Reject(3, 'b@b.de,"2', BAD_QUOTE)]


def test_a_quote_that_is_open_too_long_is_given_up() -> None:
    good = b"c@b.de,3\n"
    data = b'email,x\nb@b.de,"2\n' + good * (2 * OPEN_OCTETS // len(good)) + b'z@b.de,"9"\n'
    _, rows = read(data, 65_536)
    assert len(rows.emails) == 2 * OPEN_OCTETS // len(good) + 1
    assert rows.rejects == [Reject(2, 'b@b.de,"2', BAD_QUOTE)]
    assert rows.lines[-1] == data.count(b"\n")


def test_text_after_a_closing_quote() -> None:
    _, rows = read(b'email,x\na@b.de,"1"x\nb@b.de,2\n')
    assert rows.emails == ["b@b.de"]
    assert rows.rejects == [Reject(2, 'a@b.de,"1"x', BAD_QUOTE)]


def test_a_line_without_end_is_skipped_in_bounded_memory() -> None:
    reader = CsvReader()
    parts = [reader.feed(b"email,x\na@b.de,1\n")]
    for _ in range(40):
        parts.append(reader.feed(b"y" * 65_536))
        assert len(reader._buffer._tail) <= LINE_OCTETS + 65_536
    parts += [reader.feed(b"\nb@b.de,2\n"), reader.finish()]
    rows = joined(parts)
    assert table(rows) == [(2, "a@b.de", ["1"]), (4, "b@b.de", ["2"])]
    assert rows.rejects == [Reject(3, "", "a line longer than 256 KB")]


CELL = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)


@given(
    st.lists(st.tuples(CELL, CELL, CELL), max_size=12),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
    st.integers(1, 200),
)
def test_reads_what_the_csv_module_writes(
    cells: list[tuple[str, str, str]], end: str, quoting: int, piece: int
) -> None:
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator=end, quoting=quoting)  # type: ignore[arg-type]
    writer.writerows([("a", "email", "b"), *cells])
    _, rows = read(file.getvalue().encode(), piece)
    # Python 3.11 writes a lone CR without quotes where lines end in LF.
    expected = list(csv.reader(io.StringIO(file.getvalue(), newline="")))[1:]
    whole = [(row[0], row[1], row[2]) for row in expected if len(row) == 3]
    assert [(values[0], email, values[1]) for _, email, values in table(rows)] == whole
    assert len(rows.rejects) == len([row for row in expected if row]) - len(whole)
    if quoting == csv.QUOTE_ALL:
        assert whole == cells


@given(
    st.lists(st.sampled_from([b"a", b",", b'"', b"\n", b"\r", b"\xff", b"\xc3\xa4"])),
    st.integers(1, 50),
)
def test_pieces_do_not_matter(parts: list[bytes], piece: int) -> None:
    data = b"email,x\n" + b"".join(parts)
    small, whole = read(data, piece), read(data)
    assert table(small[1]) == table(whole[1])
    assert sorted(small[1].rejects) == sorted(whole[1].rejects)


@given(st.text('"a,\n', max_size=60))
def test_every_line_is_accounted_for(text: str) -> None:
    """No input line is lost: it is in a row, in a reject, or blank."""
    _, rows = read(("email,x\n" + text).encode(), 7)
    lines = sorted([*rows.lines, *(reject.line for reject in rows.rejects)])
    assert len(set(lines)) == len(lines)
    assert all(2 <= line <= text.count("\n") + 2 for line in lines)
