"""Brings an audience into MySQL, batch by batch, and takes a given-up one out again.

A batch is one transaction: its recipients, its shards, and the campaign's account of how much of
the input it has used. So a killed enqueue can go on exactly where the last commit was, and the
numbering has no gaps: recipient number n of a campaign is seq n % SHARD_SIZE + 1 of shard
n // SHARD_SIZE.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from itertools import islice
from typing import Final, NamedTuple

import orjson
import pymysql.err

from campaignd.errors import StoreOutage, UsageError
from campaignd.model import SHARD_SIZE, CampaignState
from campaignd.store.db import Database, Transaction
from campaignd.store.patience import patiently
from campaignd.store.sql import audience as sql
from campaignd.store.sql.literal import escape

Recipient = tuple[int, bytes, str, bytes]
"""The input line, the address key, the mailbox, the merge values as a JSON array."""

LOCK_WAIT: Final = 3
"""Seconds that a second enqueue with the same key waits for the first."""

COMMIT_SECONDS: Final = 120.0
"""A batch takes 30 ms; a server that is checkpointing hard may take seconds."""

_TRIES: Final = 3
"""Of a batch that met a deadlock."""

_LOOKUP: Final = 2_000
"""Keys looked up in one statement: the range optimizers of both servers stay within their
memory limits."""

_CAREFUL: Final = 16
"""For so many batches after one with a known address, look before inserting."""


class Progress(NamedTuple):
    """How much of the input has been used, and what came of it."""

    total: int = 0
    input_rows: int = 0
    invalid: int = 0
    duplicates: int = 0


class Batch(NamedTuple):
    """Consecutive input rows. `recipients` are distinct among themselves."""

    recipients: dict[bytes, Recipient]
    rows: int
    invalid: int
    duplicates: int
    fields: Sequence[str]
    """All field names known so far, in order."""


class Loader:
    """Adds batches to one campaign. One at a time; not for use by two tasks at once."""

    def __init__(self, db: Database, campaign: int, progress: Progress) -> None:
        self.progress = progress
        self._db = db
        self._campaign = campaign
        self._careful = 0

    @property
    def careful(self) -> bool:
        """There were addresses lately that the campaign has already: it looks before inserting."""
        return self._careful > 0

    def beware(self) -> None:
        """From here on addresses may be known."""
        self._careful = _CAREFUL

    async def add(
        self, batch: Batch, now: float, settle: Callable[[Iterable[Recipient]], None]
    ) -> None:
        """Commits a batch, without the recipients whose address the campaign has already.

        `settle` gets those before the commit, once. Raises UsageError if the campaign was
        changed by someone else meanwhile, StoreOutage if MySQL is away.
        """
        settled = False

        async def attempt() -> Progress:
            nonlocal settled
            async with self._db.transaction(timeout=COMMIT_SECONDS) as tx:
                progress, known = await self._add(tx, batch, now)
                if not settled:
                    settle(known)
                    settled = True
            return progress

        self.progress = await patiently(attempt, tries=_TRIES, repeatable=False)

    async def _add(
        self, tx: Transaction, batch: Batch, now: float
    ) -> tuple[Progress, list[Recipient]]:
        before = self.progress
        await fence(tx, self._campaign, before)
        known: list[Recipient] = []
        if self._careful:
            self._careful -= 1
            known = await self._known(tx, batch.recipients)
        try:
            await self._insert(tx, before.total, _without(batch.recipients, known))
        except pymysql.err.IntegrityError:
            # The statement as a whole is undone, the transaction is not.
            known = await self._known(tx, batch.recipients)
            if not known:
                raise
            self._careful = _CAREFUL
            await self._insert(tx, before.total, _without(batch.recipients, known))
        after = Progress(
            before.total + len(batch.recipients) - len(known),
            before.input_rows + batch.rows,
            before.invalid + batch.invalid,
            before.duplicates + batch.duplicates + len(known),
        )
        await grow_shards(tx, self._campaign, before.total, after.total, now)
        await advance(tx, self._campaign, after, batch.fields)
        return after, known

    async def _known(self, tx: Transaction, recipients: dict[bytes, Recipient]) -> list[Recipient]:
        found = []
        keys = iter(recipients)
        while some := list(islice(keys, _LOOKUP)):
            literals = ",".join(f"x'{key.hex()}'" for key in some)
            statement = sql.KNOWN_KEYS.format(campaign=self._campaign, keys=literals)
            found += [recipients[row[0]] for row in await tx.fetch(statement)]
        return sorted(found)

    async def _insert(self, tx: Transaction, total: int, recipients: list[Recipient]) -> None:
        if recipients:
            await tx.execute(insert_statement(self._campaign, total, recipients))


def insert_statement(campaign: int, total: int, recipients: Iterable[Recipient]) -> str:
    """The INSERT of recipients whose first has number `total` (from 0) within its campaign."""
    rows = []
    shard, seq = divmod(total, SHARD_SIZE)
    for _, key, mailbox, fields in recipients:
        if seq == SHARD_SIZE:
            shard, seq = shard + 1, 0
        seq += 1
        address, values = escape(mailbox), escape(fields.decode())
        rows.append(f"({campaign},{shard},{seq},'{address}',x'{key.hex()}','{values}')")
    return sql.ADD_RECIPIENTS + ",".join(rows)


async def fence(tx: Transaction, campaign: int, seen: Progress) -> None:
    """First in every transaction that loads: locks the campaign, so that `cancel` waits.

    Raises UsageError if it is no longer loading, or not where `seen` says.
    """
    if await tx.one(sql.FENCE, (campaign, *seen)) is None:
        raise UsageError(f"campaign {campaign} was cancelled, or loaded by someone else, meanwhile")


async def advance(
    tx: Transaction, campaign: int, progress: Progress, fields: Sequence[str]
) -> None:
    """Last in every transaction that loads: how far it has come."""
    names = orjson.dumps(list(fields)).decode()
    await tx.execute(sql.ADVANCE, (names, *progress, campaign))


async def grow_shards(tx: Transaction, campaign: int, before: int, after: int, now: float) -> None:
    """Makes the shards' rows fit a total that has grown from `before` to `after`; they are due
    at `now` (epoch seconds)."""
    first = before // SHARD_SIZE
    for shard in range(first, -(-after // SHARD_SIZE)):
        size = min(SHARD_SIZE, after - shard * SHARD_SIZE)
        if shard == first and before % SHARD_SIZE:
            await tx.execute(sql.GROW_SHARD, (size, campaign, shard))
        else:
            await tx.execute(sql.ADD_SHARD, (campaign, shard, size, now))


async def restart(db: Database, campaign: int, seen: Progress) -> None:
    """Takes a loading campaign back to its beginning."""
    async with db.transaction() as tx:
        await fence(tx, campaign, seen)
        await advance(tx, campaign, Progress(), ())
    await delete(db, campaign)


async def complete(
    db: Database,
    campaign: int,
    progress: Progress,
    state: CampaignState,
    *,
    starts_at: float | None,
    started_at: float | None,
) -> None:
    """Ends the loading: from here on daemons see the campaign, if it is to run.

    Times are epoch seconds. Raises UsageError if someone else changed the campaign meanwhile.
    """
    args = (state.value, starts_at, started_at, campaign, progress.total, progress.input_rows)
    async with db.statement() as tx:
        if not await tx.execute(sql.COMPLETE, args):
            raise UsageError(f"campaign {campaign} was cancelled meanwhile")


@asynccontextmanager
async def exclusive(db: Database, account: str, key: str) -> AsyncIterator[None]:
    """Holds the right to enqueue with this key, which ends with the connection at the latest.

    Raises UsageError if someone else holds it for longer than LOCK_WAIT.
    """
    done = False
    try:
        async with db.statement(timeout=None) as tx:
            if await tx.one(sql.LOCK, (account, key, LOCK_WAIT)) != (1,):
                raise UsageError(f"an enqueue with the key {key!r} is under way already")
            yield
            done = True
            await tx.one(sql.UNLOCK, (account, key))
    except StoreOutage:
        if not done:
            raise


async def delete(db: Database, campaign: int) -> None:
    """Deletes all recipients of a campaign that is not to be sent, a shard at a time."""
    async with db.statement() as tx:
        shards = [int(row[0]) for row in await tx.fetch(sql.SHARDS, (campaign,))]
    for shard in shards:
        async with db.transaction(timeout=COMMIT_SECONDS) as tx:
            await tx.execute(sql.DELETE_RECIPIENTS, (campaign, shard))
            await tx.execute(sql.DELETE_SHARD, (campaign, shard))


def _without(recipients: dict[bytes, Recipient], known: Sequence[Recipient]) -> list[Recipient]:
    if not known:
        return list(recipients.values())
    keys = {recipient[1] for recipient in known}
    return [recipient for key, recipient in recipients.items() if key not in keys]
