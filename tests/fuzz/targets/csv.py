"""The CSV reader, in pieces, against Python's csv module on the whole input.

The reference says what a row is in the plainest way: it begins where the one before ended, and
one that the csv module refuses costs its first line alone.
"""

from __future__ import annotations

import csv
import io
import re
from typing import NamedTuple

import orjson

from campaignd.audience.csv_rows import BAD_QUOTE, BAD_UTF8, CsvReader
from campaignd.audience.rows import Rows, joined
from campaignd.errors import UsageError
from tests.fuzz.choices import Choices, cut

_PIECES = (b"email", b"email,a\n", b"a@b.c", b",", b'"', b'""', b"\n", b"\r\n", b"\r", b" ", b"x")
_MORE = (b"\xff", b"\xc3", b"\xc3\xa9", b"\0", b"\xef\xbb\xbf", b'",', b'a","\n', b"Email ", b"b")


def run(data: bytes) -> None:
    choices = Choices(data)
    text = b"email,a\n" if choices.flag() else b""
    pieces = choices.number(0, 12)
    if choices.flag():
        text += choices.take(max(0, choices.left - pieces))
    else:
        text += b"".join(choices.pick(_PIECES + _MORE) for _ in range(choices.number(0, 80)))
    expected = _reference(text)
    for parts in ([text], cut(choices, text), [text[at : at + 1] for at in range(len(text))]):
        assert _read(parts) == expected


class _Table(NamedTuple):
    """All that comes out of an input."""

    good: list[tuple[int, str, list[str]]]
    bad: list[tuple[int, str]]
    fields: list[str]


def _read(parts: list[bytes]) -> _Table | None:
    reader = CsvReader()
    try:
        rows = joined([*map(reader.feed, parts), reader.finish()])
    except UsageError as error:
        assert "\n" not in str(error)
        return None
    _check_storable(rows)
    good = list(zip(rows.lines, rows.emails, rows.values, strict=True))
    bad = sorted((reject.line, reject.reason) for reject in rows.rejects)
    return _Table(good, bad, list(reader.fields))


def _check_storable(rows: Rows) -> None:
    assert sorted(rows.lines) == list(rows.lines)
    for email, values in zip(rows.emails, rows.values, strict=True):
        email.encode()
        assert orjson.loads(orjson.dumps(values)) == values
    for reject in rows.rejects:
        f"{reject.email}{reject.reason}".encode()


def _reference(text: bytes) -> _Table | None:
    if text.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in re.split(rb"[\r\n]", text)[0]:
        return None
    decoded = text.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
    lines = list(io.StringIO(decoded, newline=""))
    header: list[str] | None = None
    good: list[tuple[int, str, list[str]]] = []
    bad: list[tuple[int, str]] = []
    at = email = 0
    while at < len(lines):
        reader = csv.reader(iter(lines[at:]), strict=True)
        line = at + 1
        try:
            row = next(reader)
        except csv.Error:
            if header is None:
                return None
            bad.append((line, BAD_QUOTE))
            at += 1
            continue
        at += reader.line_num
        if not row:
            continue
        if header is None:
            header = [name.strip() for name in row]
            named = [number for number, name in enumerate(header) if name.lower() == "email"]
            if len(named) != 1 or "" in header or len({*header}) < len(header):
                return None
            if any("\udc80" <= c <= "\udcff" for name in row for c in name):
                return None
            email = named[0]
        elif any("\udc80" <= c <= "\udcff" for value in row for c in value):
            bad.append((line, BAD_UTF8))
        elif len(row) != len(header):
            bad.append((line, f"{len(row)} columns instead of {len(header)}"))
        else:
            good.append((line, row.pop(email), row))
    if header is None:
        return None
    return _Table(good, sorted(bad), [name for at, name in enumerate(header) if at != email])
