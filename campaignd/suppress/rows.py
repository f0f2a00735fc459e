"""Reads a list of suppressions: CSV with a header, or one entry on each line. Sans-IO.

A header is what names a column `email`. It may also name `domain`, `md5` and `sha256`, which count
where `email` is empty, and `reason`, `date` and `note`; other columns are passed over, as most
exports of other systems have some. A reason or date that means nothing to us goes into the note:
better suppressed for an odd reason than not suppressed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final, NamedTuple

from campaignd.audience.csv_rows import CsvReader
from campaignd.audience.rows import EMAIL, Reject, Rows, check_encoding
from campaignd.errors import RowError, UsageError
from campaignd.model import SuppressionReason
from campaignd.spreadsheet import uncell
from campaignd.store.suppressions import NOTE_CHARACTERS, Suppression
from campaignd.suppress.target import Meaning, parse

OTHER_MEANINGS: Final[tuple[Meaning, ...]] = ("domain", "md5", "sha256")
REASON: Final = "reason"
DATE: Final = "date"
NOTE: Final = "note"

_REASONS: Final = {reason.label: reason for reason in SuppressionReason}
_HEADER: Final = EMAIL.encode() + b"\n"


class Defaults(NamedTuple):
    """What holds for rows that say nothing else."""

    meaning: Meaning
    """Of the column `email`, or of the lines."""
    reason: SuppressionReason
    note: str = ""


class Read(NamedTuple):
    """Some consecutive rows of the input."""

    entries: list[Suppression]
    rejects: list[Reject]


class SuppressionReader:
    """Feed it bytes in pieces of any size."""

    def __init__(self, defaults: Defaults, *, now: float) -> None:
        """`now`: epoch seconds; a later date is not believed."""
        self._defaults = defaults
        self._now = now
        self._reader = CsvReader()
        self._start: bytes | None = b""
        self._added_lines = 0

    def feed(self, data: bytes) -> Read:
        """The rows that end in `data`. Raises UsageError if the input cannot be used at all."""
        if self._start is not None:
            self._start += data
            if b"\n" not in self._start and len(self._start) < _LOOK_OCTETS:
                return Read([], [])
        with speaking_of_suppressions():
            return self._read(self._reader.feed(data if self._start is None else self._begin()))

    def finish(self) -> Read:
        """The last rows. Raises UsageError as `feed` does."""
        with speaking_of_suppressions():
            begun = self._read(self._reader.feed(self._begin()))
            rest = self._read(self._reader.finish())
        return Read(begun.entries + rest.entries, begun.rejects + rest.rejects)

    def _begin(self) -> bytes:
        """What was held back to look at the first line; with a header, if it has none."""
        start, self._start = self._start, None
        if not start:
            return b""
        text = check_encoding(start)
        first = text.partition(b"\n")[0].decode("utf-8", "replace")
        if "," in first or EMAIL in re.split(r"[;\t|]", first.lower().strip().replace('"', "")):
            return start
        self._added_lines = 1
        return _HEADER + text

    def _read(self, rows: Rows) -> Read:
        names = [name.lower() for name in self._reader.fields]
        columns = {name: names.index(name) for name in _KNOWN if name in names}
        rejects = [self._moved(reject) for reject in rows.rejects]
        entries = []
        for line, email, values in zip(rows.lines, rows.emails, rows.values, strict=True):
            try:
                entries.append(self._entry(email, values, columns))
            except RowError as error:
                rejects.append(Reject(line - self._added_lines, email[:320], str(error)))
        return Read(entries, rejects)

    def _entry(self, email: str, values: Sequence[str], columns: dict[str, int]) -> Suppression:
        meaning, reason, note = self._defaults
        text = uncell(email.strip())
        if not columns:
            return parse(meaning, text, reason, note)
        given = {name: uncell(values[index].strip()) for name, index in columns.items()}
        if not text:
            named = [name for name in OTHER_MEANINGS if given.get(name)]
            if len(named) > 1:
                raise RowError(f"both {named[0]} and {named[1]}: one is enough")
            if named:
                meaning, text = named[0], given[named[0]]
        remarks = [given.get(NOTE) or note]
        if found := given.get(REASON):
            known = _REASONS.get(found.lower())
            reason = known or reason
            remarks += [] if known else [found]
        at = None
        if found := given.get(DATE):
            at = self._moment(found)
            remarks += [] if at is not None else [found]
        return parse(meaning, text, reason, _note(remarks), at)

    def _moment(self, text: str) -> float | None:
        """Epoch seconds of an ISO 8601 date or time, in UTC where it names no zone."""
        try:
            found = datetime.fromisoformat(text)
            at = (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            return None
        return at if 0 < at <= self._now + _SKEW_SECONDS else None

    def _moved(self, reject: Reject) -> Reject:
        return reject._replace(line=reject.line - self._added_lines)


_KNOWN: Final = (*OTHER_MEANINGS, REASON, DATE, NOTE)

_LOOK_OCTETS: Final = 65_536
"""How much is looked through for the end of the first line."""

_SKEW_SECONDS: Final = 86_400.0
"""A date of today in the zone that is furthest ahead is not in the future."""

_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f]+")


def _note(remarks: Sequence[str]) -> str:
    return _UNPRINTABLE.sub(" ", "; ".join(filter(None, remarks)))[:NOTE_CHARACTERS]


@contextmanager
def speaking_of_suppressions() -> Iterator[None]:
    """What reads files of recipients calls them so also when it complains."""
    try:
        yield
    except UsageError as error:
        raise UsageError(str(error).replace("recipients", "suppressions", 1)) from None
