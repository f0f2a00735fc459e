"""Imports a list of suppressions, in batches: reading and parsing run while the server stores.

What is stored stays stored if the import is interrupted; importing the same list again adds what
is missing and changes nothing else. Memory is bounded by a few batches, whatever the list is.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from campaignd.audience.rejects import RejectsFile
from campaignd.audience.source import FileSource, Input, opened
from campaignd.store.db import Database
from campaignd.store.suppressions import Adder, Suppression
from campaignd.suppress.rows import (
    Defaults,
    Read,
    SuppressionReader,
    speaking_of_suppressions,
)

BATCH_ROWS: Final = 5_000
"""Rows in a statement, about: some 600 KB."""

QUEUED: Final = 2
"""Batches that wait for the server."""

Report = Callable[[int, int | None], None]
"""Called with the rows and, for a file, the octets done so far."""


class Loaded(NamedTuple):
    """What an import came to."""

    rows: int
    """Of the input, without a header."""
    added: int
    """Entries that are new to the account."""
    rejected: int
    rejects: Path | None
    """The file of the rejected rows, if there are any."""
    seconds: float


async def load(
    db: Database,
    account: str,
    source: FileSource,
    defaults: Defaults,
    *,
    rejects_path: Path | None = None,
    report: Report | None = None,
) -> Loaded:
    """Adds the entries of a file or of standard input to an account's list.

    Rejected rows go to `rejects_path`, by default a file named after the source in the working
    directory. Raises UsageError if the input or that file cannot be used, and StoreOutage.
    """
    rejects = RejectsFile(rejects_path or Path(f"{source.label}.rejects.csv"))
    begun = time.monotonic()
    try:
        with speaking_of_suppressions(), opened(source) as data:
            rejects.begin()
            loading = _Loading(Adder(db, account), data, defaults, rejects, report)
            rows, added, rejected = await loading.run()
    finally:
        rejects.close()
    return Loaded(rows, added, rejected, rejects.path, time.monotonic() - begun)


class _Batch(NamedTuple):
    entries: list[Suppression]
    rows: int
    octets: int
    """Of the input, up to the end of this batch."""


class _Loading:
    def __init__(
        self,
        adder: Adder,
        data: Input,
        defaults: Defaults,
        rejects: RejectsFile,
        report: Report | None,
    ) -> None:
        self._adder = adder
        self._data = data
        self._reader = SuppressionReader(defaults, now=time.time())
        self._rejects = rejects
        self._report = report
        self._queue: asyncio.Queue[_Batch | None] = asyncio.Queue(QUEUED)
        self._rejected = 0

    async def run(self) -> tuple[int, int, int]:
        """Rows, entries added, rows rejected."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._produce())
                rows, added = await self._consume()
        except BaseExceptionGroup as group:
            # One of the two has failed and the other was cancelled: that one is the news.
            raise group.exceptions[0] from None
        return rows, added, self._rejected

    async def _produce(self) -> None:
        entries: list[Suppression] = []
        rows = octets = 0
        ended = False
        while not ended:
            data = await self._data.read()
            ended = not data
            octets += len(data)
            read = self._reader.finish() if ended else self._reader.feed(data)
            rows += self._take(read, entries)
            if len(entries) >= BATCH_ROWS or ended:
                await self._queue.put(_Batch(entries, rows, octets))
                entries, rows = [], 0
            await asyncio.sleep(0)
        await self._queue.put(None)

    def _take(self, read: Read, entries: list[Suppression]) -> int:
        entries += read.entries
        self._rejects.add(read.rejects)
        self._rejected += len(read.rejects)
        return len(read.entries) + len(read.rejects)

    async def _consume(self) -> tuple[int, int]:
        rows = added = 0
        while (batch := await self._queue.get()) is not None:
            added += await self._adder.add(batch.entries)
            rows += batch.rows
            if self._report is not None:
                self._report(rows, None if self._data.size is None else batch.octets)
        return rows, added
