"""The JSON Lines reader, in pieces, against Python's json module line by line."""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

import orjson

from campaignd.audience.jsonl_rows import JsonlReader
from campaignd.audience.rows import FIELDS_MOST, Rows, joined
from campaignd.errors import UsageError
from tests.fuzz.choices import Choices, cut

_PIECES = (b'{"email":"a@b.c"', b"}", b"{", b"\n", b"\r\n", b"\r", b",", b":", b'"', b'"a":')
_MORE = (b"1", b"-0.0", b"1e400", b"null", b"true", b"[1]", b"{}", b"NaN", b'"x"', b'"\\ud800"')
_ODD = (b"\xff", b"\0", b"\xef\xbb\xbf", b'"Email":"a@b.c"', b'"email":', b"9" * 30, b'"":', b" ")


def run(data: bytes) -> None:
    choices = Choices(data)
    pieces = choices.number(0, 12)
    if choices.flag():
        text = choices.take(max(0, choices.left - pieces))
    else:
        all_pieces = _PIECES + _MORE + _ODD
        text = b"".join(choices.pick(all_pieces) for _ in range(choices.number(0, 60)))
    whole = _read([text])
    assert _read(cut(choices, text)) == whole
    assert _read([text[at : at + 1] for at in range(len(text))]) == whole
    if whole is not None:
        _check(text, *whole)


def _read(parts: list[bytes]) -> tuple[Rows, list[str]] | None:
    reader = JsonlReader()
    try:
        rows = joined([*map(reader.feed, parts), reader.finish()])
    except UsageError as error:
        assert "\n" not in str(error)
        return None
    rows = Rows(list(rows.lines), list(rows.emails), list(rows.values), list(rows.rejects))
    return rows, list(reader.fields)


def _check(text: bytes, rows: Rows, fields: list[str]) -> None:
    lines = re.split(rb"\r\n|\r|\n", text.removeprefix(b"\xef\xbb\xbf"))
    expected = [number for number, line in enumerate(lines, 1) if line and not line.isspace()]
    assert sorted([*rows.lines, *(reject.line for reject in rows.rejects)]) == expected
    assert len(fields) == len(set(fields)) <= FIELDS_MOST
    for reject in rows.rejects:
        f"{reject.email}{reject.reason}".encode()
        assert reject.reason.isprintable() or "\\" in repr(reject.reason)
    for number, email, values in zip(rows.lines, rows.emails, rows.values, strict=True):
        email.encode()
        assert all(value is None or type(value) in (str, int, float, bool) for value in values)
        orjson.dumps(values)
        row = _row(lines[number - 1])
        assert email in row.values()
        for name, value in zip(fields, values, strict=False):
            if value is not None:
                assert str(row[name]) == str(value) or type(value) is float


def _row(line: bytes) -> dict[str, Any]:
    """Raises ValueError for what is no JSON, also where Python's own module is lenient."""
    row = json.loads(line.decode(), parse_constant=_refuse)
    assert isinstance(row, dict)
    return row


def _refuse(text: str) -> NoReturn:
    raise ValueError(text)
