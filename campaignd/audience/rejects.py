"""The file of rows that were not used: CSV with line, email and reason.

It exists only if there are such rows, only its owner may read it, and a spreadsheet does not run
what stands in it.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from campaignd.audience.rows import Reject
from campaignd.errors import UsageError
from campaignd.spreadsheet import cell

_HEADER: Final = "line,email,reason\n"


class RejectsFile:
    """Written before the batch it belongs to is committed; so on resuming, what stands in it
    above the last committed line is dropped and written anew.

    All methods raise UsageError if the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: io.TextIOWrapper | None = None

    @property
    def path(self) -> Path | None:
        """The file's name, or None if nothing was rejected."""
        return self._path if self._file is not None else None

    def begin(self) -> None:
        """Removes what an earlier enqueue may have left."""
        try:
            self._check_plain()
            self._path.unlink(missing_ok=True)
        except OSError as error:
            raise self._trouble(error) from None

    def resume(self, last: int) -> None:
        """Keeps the rows up to line `last` and appends from there."""
        try:
            self._check_plain()
            with self._path.open(newline="", encoding="utf-8", errors="replace") as old:
                kept = [row for row in csv.reader(old) if row and row[0].isdecimal()]
        except FileNotFoundError:
            return
        except OSError as error:
            raise self._trouble(error) from None
        self.begin()
        self._write([row for row in kept if int(row[0]) <= last])

    def add(self, rejects: Iterable[Reject]) -> None:
        """Writes rejects, the lowest line first, out to the operating system."""
        self._write([(line, cell(email), cell(reason)) for line, email, reason in sorted(rejects)])

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _write(self, rows: list[Any]) -> None:
        if not rows:
            return
        try:
            if self._file is None:
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
                fd = os.open(self._path, flags, 0o600)
                self._file = open(fd, "w", newline="", encoding="utf-8", errors="replace")  # noqa: SIM115
                self._file.write(_HEADER)
            csv.writer(self._file, lineterminator="\n").writerows(rows)
            self._file.flush()
        except OSError as error:
            raise self._trouble(error) from None

    def _check_plain(self) -> None:
        if self._path.is_symlink() or (self._path.exists() and not self._path.is_file()):
            raise UsageError(f"rejects file {self._path}: is not a plain file; use --rejects FILE")

    def _trouble(self, error: OSError) -> UsageError:
        return UsageError(f"rejects file {self._path}: {error.strerror}; use --rejects FILE")
