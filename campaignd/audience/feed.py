"""Loads a file or a stream: reading and parsing run while the server stores the batch before.

Both are bounded: a few batches at most are in memory.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from campaignd.audience.prepare import DUPLICATE, Prepared, prepare
from campaignd.audience.rejects import RejectsFile
from campaignd.audience.rows import Reject, RowReader, Rows, joined
from campaignd.audience.source import Input
from campaignd.errors import UsageError
from campaignd.store.audience import Batch, Loader, Recipient

BATCH_ROWS: Final = 2_500
"""Rows in a transaction, about: where the cost of the commit no longer shows."""

BATCH_OCTETS: Final = 1_048_576
"""Input in a transaction. Escaped seven times over it still fits into one packet of a server
with MariaDB's default `max_allowed_packet` of 16 MB."""

QUEUED: Final = 2
"""Batches that wait for the server."""

Report = Callable[[int, int | None], None]
"""Called with the rows and, for a file, the octets done so far."""

Check = Callable[[Sequence[str], Iterable[Recipient]], None]
"""Called with the field names and the first recipients before any is stored; raises TemplateError
or CampaignError if the campaign cannot be composed for them."""


class _Parsed(NamedTuple):
    prepared: Prepared
    fields: tuple[str, ...]
    octets: int
    """Of the input, up to the end of this batch."""


class Feed:
    """One loading. `loader.progress` says where to begin: that many input rows are skipped."""

    def __init__(
        self,
        source: Input,
        reader: RowReader,
        loader: Loader,
        rejects: RejectsFile,
        *,
        check: Check | None,
        report: Report | None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._source = source
        self._reader = reader
        self._loader = loader
        self._rejects = rejects
        self._check = check
        self._report = report
        self._clock = clock
        self._skip = loader.progress.input_rows
        self._octets = 0

    async def run(self) -> None:
        """Loads to the end of the input.

        Raises UsageError (the input, the campaign or the rejects file cannot be used) and
        StoreOutage.
        """
        queue: asyncio.Queue[_Parsed | None] = asyncio.Queue(QUEUED)
        if not self._skip:
            self._rejects.begin()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._produce(queue))
                await self._consume(queue)
        except BaseExceptionGroup as group:
            # One of the two has failed and the other was cancelled: that one is the news.
            raise group.exceptions[0] from None

    async def _produce(self, queue: asyncio.Queue[_Parsed | None]) -> None:
        waiting: list[Rows] = []
        rows = octets = 0
        while data := await self._source.read():
            self._octets += len(data)
            octets += len(data)
            read = self._skipped(self._reader.feed(data))
            waiting.append(read)
            rows += read.size
            if rows >= BATCH_ROWS or octets >= BATCH_OCTETS:
                await queue.put(self._parsed(waiting))
                waiting, rows, octets = [], 0, 0
            await asyncio.sleep(0)
        waiting.append(self._skipped(self._reader.finish()))
        if self._skip:
            raise UsageError("recipients: shorter than when the same key was enqueued before")
        await queue.put(self._parsed(waiting))
        await queue.put(None)

    async def _consume(self, queue: asyncio.Queue[_Parsed | None]) -> None:
        while (parsed := await queue.get()) is not None:
            prepared, fields, octets = parsed
            if self._check is not None and prepared.recipients:
                self._check(fields, prepared.recipients.values())
                self._check = None
            batch = Batch(
                prepared.recipients,
                prepared.rows,
                len(prepared.rejects),
                len(prepared.duplicates),
                fields,
            )
            if batch.rows:
                await self._loader.add(batch, self._clock(), self._settler(prepared))
            if self._report is not None:
                known = None if self._source.size is None else octets
                self._report(self._loader.progress.input_rows, known)

    def _settler(self, prepared: Prepared) -> Callable[[Iterable[Recipient]], None]:
        def settle(known: Iterable[Recipient]) -> None:
            again = [Reject(recipient[0], recipient[2], DUPLICATE) for recipient in known]
            self._rejects.add([*prepared.rejects, *prepared.duplicates, *again])

        return settle

    def _parsed(self, waiting: list[Rows]) -> _Parsed:
        return _Parsed(prepare(joined(waiting)), tuple(self._reader.fields), self._octets)

    def _skipped(self, rows: Rows) -> Rows:
        """Leaves out what an earlier enqueue has committed."""
        if not self._skip or not rows.size:
            return rows
        skipped = min(self._skip, rows.size)
        self._skip -= skipped
        if not self._skip:
            self._rejects.resume(rows.line_of(skipped - 1))
        return rows.after(skipped)
