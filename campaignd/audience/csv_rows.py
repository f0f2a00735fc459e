"""Reads recipients from CSV (RFC 4180): a header row, then a row per recipient.

A block of lines is parsed in one go when every row is whole and on one line; otherwise row by
row. A row whose quote does not close is rejected by the line where it starts, and reading goes
on with the line after that one, so that a stray quote costs one row and not the rest.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Final, Self

from campaignd.audience.rows import (
    EMAIL,
    FIELDS_MOST,
    LINE_OCTETS,
    NO_ROWS,
    LineBuffer,
    Reject,
    Rows,
    check_encoding,
    is_utf8,
    readable,
)
from campaignd.errors import UsageError

OPEN_OCTETS: Final = LINE_OCTETS // 2
"""How far to look for the end of a quoted field."""

BAD_QUOTE: Final = "a quote is opened in this row but not closed properly"
BAD_UTF8: Final = "not valid UTF-8"


class CsvReader:
    """A `RowReader` for CSV."""

    def __init__(self) -> None:
        self._buffer = LineBuffer()
        self._header: list[str] | None = None
        self._email = 0
        self._fields: list[str] = []
        self._rejects: list[Reject] = []

    @property
    def fields(self) -> Sequence[str]:
        return self._fields

    def feed(self, data: bytes) -> Rows:
        rows = self._parse(self._buffer.feed(data), final=False)
        self._buffer.settle()
        for line in self._buffer.too_long:
            self._reject(line, "", f"a line longer than {LINE_OCTETS // 1024} KB")
        self._buffer.too_long.clear()
        return self._collect(rows)

    def finish(self) -> Rows:
        rows = self._collect(self._parse(self._buffer.finish(), final=True))
        if self._header is None:
            raise UsageError(f"recipients: the input is empty; it needs a header with `{EMAIL}`")
        return rows

    def _collect(self, rows: Rows) -> Rows:
        rejects, self._rejects = self._rejects, []
        return rows._replace(rejects=rejects)

    def _parse(self, block: bytes, *, final: bool) -> Rows:
        if not block:
            return NO_ROWS
        if self._buffer.line == 1:
            block = check_encoding(block)
        try:
            text = block.decode("utf-8")
        except UnicodeDecodeError:
            return self._parse_slowly(block.decode("utf-8", "surrogateescape"), final, clean=False)
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        try:
            rows = list(reader)
        except csv.Error:
            return self._parse_slowly(text, final, clean=True)
        if reader.line_num != len(rows):
            return self._parse_slowly(text, final, clean=True)
        first = self._buffer.line
        self._buffer.line += len(rows)
        return self._accept(range(first, first + len(rows)), rows)

    def _parse_slowly(self, text: str, final: bool, *, clean: bool) -> Rows:
        """Row by row: rows over several lines, with bad UTF-8, or with a quote left open."""
        lines = _Lines(text)
        first, numbers, rows = self._buffer.line, [], []
        while lines.left:
            try:
                for row in csv.reader(lines.again(), strict=True):
                    if self._header is None and row:
                        self._take_header(row)
                    elif clean or self._check_utf8(first + lines.row, row):
                        numbers.append(first + lines.row)
                        rows.append(row)
                    lines.end_row()
            except csv.Error:
                if lines.open and not final and lines.left <= OPEN_OCTETS:
                    self._buffer.keep(lines.rest().encode("utf-8", "surrogateescape"))
                    break
                self._reject(first + lines.row, readable(lines.first()), BAD_QUOTE)
                lines.end_row(lines.row + 1)
        self._buffer.line += lines.row
        return self._accept(numbers, rows)

    def _check_utf8(self, line: int, row: list[str]) -> bool:
        if is_utf8("".join(row)):
            return True
        self._reject(line, readable(row[self._email]) if len(row) > self._email else "", BAD_UTF8)
        return False

    def _accept(self, lines: Sequence[int], rows: list[list[str]]) -> Rows:
        """Checks the number of columns and takes the address out of each row."""
        if [] in rows:
            lines = [line for line, row in zip(lines, rows, strict=True) if row]
            rows = [row for row in rows if row]
        if not rows:
            return NO_ROWS
        if self._header is None:
            self._take_header(rows[0])
            lines, rows = lines[1:], rows[1:]
        header = self._header or []
        if not set(map(len, rows)) <= {len(header)}:
            lines, rows = self._right_width(lines, rows, len(header))
        email = self._email
        return Rows(lines, [row.pop(email) for row in rows], rows, [])

    def _right_width(
        self, lines: Sequence[int], rows: list[list[str]], width: int
    ) -> tuple[list[int], list[list[str]]]:
        good_lines, good_rows = [], []
        for line, row in zip(lines, rows, strict=True):
            if len(row) == width:
                good_lines.append(line)
                good_rows.append(row)
            else:
                email = row[self._email] if len(row) > self._email else ""
                self._reject(line, email, f"{len(row)} columns instead of {width}")
        return good_lines, good_rows

    def _take_header(self, row: list[str]) -> None:
        if not is_utf8("".join(row)):
            raise UsageError("recipients: the header is not valid UTF-8; save the file as UTF-8")
        names = [name.strip() for name in row]
        columns = [number for number, name in enumerate(names) if name.lower() == EMAIL]
        if not columns:
            raise UsageError(_no_email(names))
        if len(names) > FIELDS_MOST:
            raise UsageError(f"recipients: more than {FIELDS_MOST:,} columns")
        for number, name in enumerate(names):
            if not name:
                raise UsageError(f"recipients: column {number + 1} has no name in the header")
            if name in names[:number] or (name.lower() == EMAIL and number != columns[0]):
                raise UsageError(f"recipients: two columns are named {name!r}")
        self._header = names
        self._email = columns[0]
        self._fields = [name for number, name in enumerate(names) if number != columns[0]]

    def _reject(self, line: int, email: str, reason: str) -> None:
        if self._header is None:
            raise UsageError(f"recipients: line {line}: {reason}; the header cannot be read")
        self._rejects.append(Reject(line, email.strip()[:320], reason))


class _Lines:
    """The lines of a block, as the csv module asks for them, and the row that it is at.

    A quote that does not close is read to the end. From then on a row that goes over its line
    is known not to close either, because its lines have all been read within quotes already:
    it is not read again, else a quote in each line would cost the square of their number.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._lines = list(io.StringIO(text, newline=""))
        self._at = 0
        self._never_closes = False
        self.row = 0
        """The line at which the row begins, counted from 0."""
        self.left = len(text)
        """Characters from there on."""
        self.open = False
        """Whether the end came within the row."""

    def again(self) -> Self:
        """From the start of the row."""
        self._at = self.row
        self.open = False
        return self

    def end_row(self, row: int | None = None) -> None:
        """The next row begins at this line, or at the one that comes next."""
        after = self._at if row is None else row
        self.left -= sum(map(len, self._lines[self.row : after]))
        self.row = after

    def first(self) -> str:
        """The row's first line."""
        return self._lines[self.row]

    def rest(self) -> str:
        """The row and all after it."""
        return self._text[len(self._text) - self.left :]

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        if self._at == len(self._lines) or (self._never_closes and self._at > self.row):
            self.open = self._never_closes = self._at > self.row
            raise StopIteration
        self._at += 1
        return self._lines[self._at - 1]


def _no_email(names: list[str]) -> str:
    for separator, called in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")):
        if any(EMAIL in name.lower().split(separator) for name in names):
            return f"recipients: the columns are separated by {called}; they must be by commas"
    shown = "".join(c if c.isprintable() else " " for c in ", ".join(names[:6])[:120])
    return f"recipients: the header needs a column `{EMAIL}`; it has: {shown}"
