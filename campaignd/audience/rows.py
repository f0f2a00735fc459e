"""Rows as readers hand them on, and the lines they are read from.

Readers are sans-IO: bytes are fed in pieces of any size, rows come out, and the memory in use is
bounded whatever the input is.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, Protocol

from campaignd.errors import UsageError

LINE_OCTETS: Final = 262_144
"""Longest line, and longest row over several lines, that is looked at. Far above what a row may
hold (`prepare.FIELDS_OCTETS`); it bounds the memory that a broken file can take."""

FIELDS_MOST: Final = 1_000
"""Different merge fields of one audience."""

EMAIL: Final = "email"
"""The column that holds the address."""


class Reject(NamedTuple):
    """An input row that is not used."""

    line: int
    """Where the row starts: a line of a file, counted from 1, or the number of a query's row."""
    email: str
    """What stood in the email column, as far as it could be read."""
    reason: str


class Rows(NamedTuple):
    """Some consecutive rows of the input, in three parallel columns, and those that could not
    be read among them."""

    lines: Sequence[int]
    emails: Sequence[str]
    values: Sequence[list[Any]]
    """In the order of the reader's `fields`; later fields may be absent."""
    rejects: Sequence[Reject]

    @property
    def size(self) -> int:
        """Input rows that these are, whatever becomes of them."""
        return len(self.lines) + len(self.rejects)

    def line_of(self, index: int) -> int:
        """The line of the input row number `index`, counted from 0 over all of these."""
        return sorted([*self.lines, *(reject.line for reject in self.rejects)])[index]

    def after(self, count: int) -> Rows:
        """These without the first `count` input rows."""
        if count >= self.size:
            return NO_ROWS
        first = self.line_of(count)
        start = bisect_left(self.lines, first)
        rejects = [reject for reject in self.rejects if reject.line >= first]
        return Rows(self.lines[start:], self.emails[start:], self.values[start:], rejects)


NO_ROWS: Final = Rows((), (), (), ())


def joined(parts: Sequence[Rows]) -> Rows:
    """Consecutive parts as one."""
    if len(parts) == 1:
        return parts[0]
    return Rows(
        [line for part in parts for line in part.lines],
        [email for part in parts for email in part.emails],
        [values for part in parts for values in part.values],
        [reject for part in parts for reject in part.rejects],
    )


class RowReader(Protocol):
    """Turns the bytes of one input format into rows."""

    @property
    def fields(self) -> Sequence[str]:
        """Names of the merge fields seen so far, without the address. It only ever grows."""

    def feed(self, data: bytes) -> Rows:
        """The rows that end in `data`. Raises UsageError if the input cannot be used at all."""

    def finish(self) -> Rows:
        """The last rows, after all bytes were fed. Raises UsageError as `feed` does."""


class LineBuffer:
    """Cuts bytes into blocks of whole lines and counts them.

    A line longer than LINE_OCTETS is skipped and reported in `too_long`.
    """

    def __init__(self) -> None:
        self.line = 1
        """Number of the next block's first line; whoever reads a block moves it on."""
        self.too_long: list[int] = []
        self._tail = b""
        self._skipping = False

    def feed(self, data: bytes) -> bytes:
        """All whole lines so far that were not handed out yet."""
        if self._skipping:
            data = self._skip(data)
        data = self._tail + data
        cut = data.rfind(b"\n") + 1
        if not cut:
            # Lines that end in a lone CR; the CR at the very end may be half of a CRLF.
            cut = data.rfind(b"\r", 0, -1) + 1
        self._tail = data[cut:]
        return data[:cut]

    def settle(self) -> None:
        """To be called when a block has been read: gives up on a line that has grown too long."""
        if len(self._tail) > LINE_OCTETS:
            self.too_long.append(self.line)
            self.line += self._tail.count(b"\n")
            self._tail = b""
            self._skipping = True

    def keep(self, data: bytes) -> None:
        """Takes back the unread end of a block: the start of a row that needs more lines."""
        self._tail = data + self._tail

    def finish(self) -> bytes:
        """What is left: a last line without an end."""
        data, self._tail = self._tail, b""
        return data

    def _skip(self, data: bytes) -> bytes:
        end = data.find(b"\n")
        if end < 0:
            return b""
        self._skipping = False
        self.line += 1
        return data[end + 1 :]


def check_encoding(start: bytes) -> bytes:
    """The start of a file without its UTF-8 byte order mark. Raises UsageError for UTF-16."""
    if start.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in start.splitlines()[0]:
        raise UsageError("recipients: this looks like UTF-16 or a binary file; save it as UTF-8")
    return start.removeprefix(b"\xef\xbb\xbf")


def readable(text: str) -> str:
    """Text that was decoded with `surrogateescape`, for people to read."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def is_utf8(text: str) -> bool:
    """Whether text that was decoded with `surrogateescape` was valid UTF-8."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
