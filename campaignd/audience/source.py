"""Where recipients come from, and reading bytes from there without blocking the loop."""

from __future__ import annotations

import asyncio
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal, NamedTuple

from campaignd.audience.csv_rows import CsvReader
from campaignd.audience.jsonl_rows import JsonlReader
from campaignd.audience.rows import RowReader
from campaignd.errors import UsageError

Format = Literal["csv", "jsonl"]

READ_OCTETS: Final = 65_536
"""Read at once: about 600 rows, 5 ms of parsing between two turns of the loop."""

HEAD_OCTETS: Final = 65_536
"""How much of an input makes part of its fingerprint, and is looked at before anything is
stored."""

_JSONL_SUFFIXES: Final = frozenset({".jsonl", ".ndjson", ".json"})


class FileSource(NamedTuple):
    """A file, or standard input when `path` is `-`."""

    path: str
    format: Format | None = None
    """None goes by the file's suffix; CSV if that says nothing."""

    @property
    def label(self) -> str:
        """The name that people see, without folders."""
        return "stdin" if self.path == "-" else Path(self.path).name

    def reader(self, fields: list[str]) -> RowReader:
        """A reader for its format; `fields` are those known from an earlier, partial reading."""
        chosen = self.format
        if chosen is None:
            chosen = "jsonl" if Path(self.path).suffix.lower() in _JSONL_SUFFIXES else "csv"
        return JsonlReader(fields) if chosen == "jsonl" else CsvReader()


class QuerySource(NamedTuple):
    """One SELECT on the store's own server that yields `email` and merge fields."""

    query: str

    @property
    def label(self) -> str:
        """The name that people see."""
        return "query"


Source = FileSource | QuerySource


class Input:
    """Bytes of an open file or pipe. `size` is in octets, None for what is not a plain file."""

    def __init__(self, fd: int) -> None:
        status = os.fstat(fd)
        self.size = status.st_size if stat.S_ISREG(status.st_mode) else None
        self.head = b""
        """The first HEAD_OCTETS, once `read_head` has run; they are also read normally."""
        self._fd = fd
        self._unread: list[bytes] = []

    async def read_head(self) -> None:
        """Reads ahead up to HEAD_OCTETS."""
        pieces = []
        missing = HEAD_OCTETS
        while missing and (piece := await self._read(missing)):
            pieces.append(piece)
            missing -= len(piece)
        self.head = b"".join(pieces)
        self._unread = [self.head] if self.head else []

    async def read(self) -> bytes:
        """The next bytes, up to READ_OCTETS; empty at the end."""
        if self._unread:
            return self._unread.pop()
        return await self._read(READ_OCTETS)

    def fingerprint(self, spec: bytes) -> str:
        """Tells this input, for this campaign, from others: 64 hexadecimal digits."""
        digest = hashlib.sha256(spec)
        digest.update(f"\0{self.size}\0".encode())
        digest.update(self.head)
        return digest.hexdigest()

    async def _read(self, most: int) -> bytes:
        if self.size is None:
            await self._readable()
        try:
            return os.read(self._fd, most)
        except OSError as error:
            raise UsageError(f"recipients cannot be read: {error.strerror}") from None

    async def _readable(self) -> None:
        """Waits for a pipe or terminal as long as it takes its writer. Not with a thread: one
        that is stuck in read(2) would keep the process from ending."""
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        try:
            loop.add_reader(self._fd, ready.set)
        except PermissionError:
            return  # epoll refuses what never blocks, such as /dev/null
        try:
            await ready.wait()
        finally:
            loop.remove_reader(self._fd)


@contextmanager
def opened(source: FileSource) -> Iterator[Input]:
    """Raises UsageError if the file cannot be opened."""
    if source.path == "-":
        yield Input(0)
        return
    try:
        fd = os.open(source.path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise UsageError(f"recipients {source.path}: {error.strerror}") from None
    try:
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            raise UsageError(f"recipients {source.path}: is a directory; name a file")
        yield Input(fd)
    finally:
        os.close(fd)
