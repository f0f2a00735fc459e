"""Stores batches of a campaign in order, and inserts the next ones while one is not committed yet.

One connection keeps one core of the server busy; a large audience is worth two. Whatever goes
wrong with a batch that is ahead of its turn, it is rolled back and stored again by itself: numbers
have no gap and the first of two equal addresses is the one that stays, as on one connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, KeysView, Sequence
from typing import Final, NamedTuple

import pymysql.err

from campaignd.errors import StoreOutage
from campaignd.model import SHARD_SIZE
from campaignd.store import audience
from campaignd.store.audience import COMMIT_SECONDS, Batch, Loader, Progress, Recipient
from campaignd.store.db import Database, Transaction
from campaignd.store.sql import audience as sql

INSERTERS: Final = 2
"""Batches that are inserted at a time, each on a connection of its own."""

STATEMENT_ROWS: Final = 500
"""The server takes 10 % longer for rows in statements of 10,000: what it makes of one no longer
fits into its caches."""


class TextBatch(NamedTuple):
    """As `Batch`, with recipients as the literals of key, address and fields."""

    texts: dict[bytes, bytes]
    """By address key, in hexadecimal; in the order of the input."""
    rows: int
    invalid: int
    duplicates: int
    fields: Sequence[str]
    recipients: Callable[[], dict[bytes, Recipient]]
    """The same recipients as values; for the few batches that are not stored as they are."""
    settle: Callable[[Iterable[Recipient]], None]
    """Takes those that are duplicates of earlier batches, before the commit."""


class _Turn(NamedTuple):
    """A batch that is under way."""

    start: int
    """Number that its first recipient has if all batches before are stored as they are."""
    keys: KeysView[bytes]
    over: asyncio.Event
    """The batch is committed and `Loader.progress` says so."""


class _OutOfTurn(Exception):
    """A batch cannot be stored with the numbers it has."""


async def store(
    db: Database,
    campaign: int,
    loader: Loader,
    batches: AsyncIterator[TextBatch],
    clock: Callable[[], float],
    report: Callable[[Progress], None],
) -> None:
    """Stores all batches; `loader.progress` is where it begins and how far it came.

    `report` is called after each commit. Raises UsageError if the campaign was changed by someone
    else meanwhile, StoreOutage if MySQL is away, and what `batches` raises.
    """
    try:
        async with asyncio.TaskGroup() as tasks:
            await _Ahead(db, campaign, loader, clock, report).run(batches, tasks)
    except BaseExceptionGroup as group:
        # One has failed and the others were cancelled: that one is the news.
        raise group.exceptions[0] from None


class _Ahead:
    def __init__(
        self,
        db: Database,
        campaign: int,
        loader: Loader,
        clock: Callable[[], float],
        report: Callable[[Progress], None],
    ) -> None:
        self._db = db
        self._campaign = campaign
        self._loader = loader
        self._clock = clock
        self._report = report
        self._room = asyncio.Semaphore(INSERTERS)

    async def run(self, batches: AsyncIterator[TextBatch], tasks: asyncio.TaskGroup) -> None:
        under_way: list[_Turn] = []
        async for batch in batches:
            await self._room.acquire()
            under_way = [turn for turn in under_way if not turn.over.is_set()]
            keys = batch.texts.keys()
            if not all(keys.isdisjoint(turn.keys) for turn in under_way):
                self._loader.beware()
            last = under_way[-1] if under_way else None
            start = last.start + len(last.keys) if last else self._loader.progress.total
            turn = _Turn(start, keys, asyncio.Event())
            tasks.create_task(self._one(batch, turn, last))
            under_way.append(turn)

    async def _one(self, batch: TextBatch, turn: _Turn, last: _Turn | None) -> None:
        loader = self._loader
        if loader.careful or not await self._insert(batch, turn, last):
            if last:
                await last.over.wait()
            facts = (batch.rows, batch.invalid, batch.duplicates, batch.fields)
            await loader.add(Batch(batch.recipients(), *facts), self._clock(), batch.settle)
        turn.over.set()
        self._room.release()
        self._report(loader.progress)

    async def _insert(self, batch: TextBatch, turn: _Turn, last: _Turn | None) -> bool:
        """False if it was rolled back."""
        try:
            async with self._db.transaction(timeout=COMMIT_SECONDS) as tx:
                for statement in insert_statements(
                    self._campaign, turn.start, list(batch.texts.values())
                ):
                    await tx.execute(statement)
                if last:
                    await last.over.wait()
                after = await self._settle(tx, batch, turn.start)
        except pymysql.err.IntegrityError:
            self._loader.beware()
            return False
        except _OutOfTurn:
            return False
        except StoreOutage as outage:
            if outage.ambiguous:
                raise
            return False
        self._loader.progress = after
        return True

    async def _settle(self, tx: Transaction, batch: TextBatch, start: int) -> Progress:
        """What is left to do when the batch has its turn."""
        seen = self._loader.progress
        if seen.total != start:
            raise _OutOfTurn
        after = Progress(
            seen.total + len(batch.texts),
            seen.input_rows + batch.rows,
            seen.invalid + batch.invalid,
            seen.duplicates + batch.duplicates,
        )
        await audience.fence(tx, self._campaign, seen)
        await audience.grow_shards(tx, self._campaign, seen.total, after.total, self._clock())
        await audience.advance(tx, self._campaign, after, batch.fields)
        return after


def insert_statements(campaign: int, total: int, texts: Sequence[bytes]) -> Iterator[bytes]:
    """The INSERTs of recipients whose first has number `total` (from 0) within its campaign."""
    at = 0
    while at < len(texts):
        shard, seq = divmod(total + at, SHARD_SIZE)
        upto = min(at + STATEMENT_ROWS, at + SHARD_SIZE - seq)
        head = b"(%d,%d," % (campaign, shard)
        rows = [b"%d,%b" % numbered for numbered in enumerate(texts[at:upto], seq + 1)]
        yield sql.ADD_TEXTS + head + (b")," + head).join(rows) + b")"
        at = upto
