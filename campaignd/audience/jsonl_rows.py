"""Reads recipients from JSON Lines: one object a line, with `email` and a key per merge field.

Keys may differ from line to line. A name gets its place in `fields` when it first appears; a row
that lacks it has null there, or nothing if the place is behind its last one: both mean missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import orjson

from campaignd.audience.rows import (
    EMAIL,
    FIELDS_MOST,
    LINE_OCTETS,
    LineBuffer,
    Reject,
    Rows,
    check_encoding,
)
from campaignd.errors import RowError, UsageError

_NAMES: Final[dict[type, str]] = {list: "a list", dict: "an object"}


class JsonlReader:
    """A `RowReader` for JSON Lines. `fields` are those known from an earlier, partial reading."""

    def __init__(self, fields: Sequence[str] = ()) -> None:
        self._buffer = LineBuffer()
        self._fields = list(fields)
        self._places = {name: place for place, name in enumerate(self._fields)}
        self._expected: list[str] = []
        self._any = False

    @property
    def fields(self) -> Sequence[str]:
        return self._fields

    def feed(self, data: bytes) -> Rows:
        rows = self._parse(self._buffer.feed(data))
        self._buffer.settle()
        too_long, self._buffer.too_long = self._buffer.too_long, []
        reason = f"a line longer than {LINE_OCTETS // 1024} KB"
        return rows._replace(
            rejects=[*rows.rejects, *(Reject(line, "", reason) for line in too_long)]
        )

    def finish(self) -> Rows:
        rows = self._parse(self._buffer.finish())
        if not self._any:
            raise UsageError("recipients: the input is empty")
        return rows

    def _parse(self, block: bytes) -> Rows:
        if block and self._buffer.line == 1:
            block = check_encoding(block)
        lines: list[int] = []
        emails: list[str] = []
        values: list[list[Any]] = []
        rejects: list[Reject] = []
        pieces = block.splitlines()
        for number, piece in enumerate(pieces, self._buffer.line):
            if not piece or piece.isspace():
                continue
            try:
                email, row = self._row(piece)
            except RowError as error:
                rejects.append(Reject(number, _email_of(piece), str(error)))
                continue
            lines.append(number)
            emails.append(email)
            values.append(row)
        self._buffer.line += len(pieces)
        self._any = self._any or bool(lines or rejects)
        return Rows(lines, emails, values, rejects)

    def _row(self, piece: bytes) -> tuple[str, list[Any]]:
        try:
            row = orjson.loads(piece)
        except orjson.JSONDecodeError as error:
            raise RowError(_why_not_json(piece, error)) from None
        if type(row) is not dict:
            raise RowError("not a JSON object")
        email = row.pop(EMAIL, None)
        if email is None:
            email = _other_case(row)
        if type(email) is not str:
            raise RowError(f"`{EMAIL}` is not text")
        for name, value in row.items():
            if type(value) in _NAMES:
                raise RowError(
                    f"`{name[:60]}` is {_NAMES[type(value)]}; fields are text, numbers or booleans"
                )
        if list(row) == self._fields:
            return email, list(row.values())
        places = [self._place(name) for name in row]
        values: list[Any] = [None] * (max(places, default=-1) + 1)
        for place, value in zip(places, row.values(), strict=True):
            values[place] = value
        return email, values

    def _place(self, name: str) -> int:
        place = self._places.get(name)
        if place is None:
            if not name.strip():
                raise RowError("a field without a name")
            if len(self._fields) >= FIELDS_MOST:
                raise RowError(f"the audience has more than {FIELDS_MOST:,} different fields")
            place = self._places[name] = len(self._fields)
            self._fields.append(name)
        return place


def _other_case(row: dict[str, Any]) -> Any:
    """Takes `Email`, `EMAIL` and the like out of a row."""
    for name in row:
        if name.lower() == EMAIL:
            return row.pop(name)
    raise RowError(f"no `{EMAIL}`")


def _why_not_json(piece: bytes, error: orjson.JSONDecodeError) -> str:
    try:
        piece.decode("utf-8")
    except UnicodeDecodeError:
        return "not valid UTF-8"
    return f"not JSON: {error.msg[:100]} (column {error.colno})"


def _email_of(piece: bytes) -> str:
    try:
        row = orjson.loads(piece)
    except orjson.JSONDecodeError:
        return ""
    email = row.get(EMAIL) if type(row) is dict else None
    return email[:320] if isinstance(email, str) else ""
