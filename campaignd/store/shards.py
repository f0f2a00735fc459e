"""Shards in MySQL: taking, claiming, releasing and finishing them, all fenced by their epoch.

A function that writes under an epoch returns False, or None, when the epoch has moved on: the
caller is fenced and must stop that shard at once (R2).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from campaignd.model import Attempt, Taken
from campaignd.store.db import Database, Transaction
from campaignd.store.sql import ledger as ledger_sql
from campaignd.store.sql import shards as sql


class ClaimedRetries(NamedTuple):
    """Retries that are claimed now, and when the earliest of the others is due."""

    attempts: list[Attempt]
    next_due: float | None
    """Epoch seconds; None when there is no other."""


class OpenCampaign(NamedTuple):
    """A running campaign that has a shard with work due."""

    id: int
    account: str
    started_at: float


class Content(NamedTuple):
    """What a daemon needs of a campaign to compose it."""

    account: str
    spec: bytes
    fields: bytes
    """JSON array of the audience's field names."""
    started_at: float
    """Epoch seconds."""


async def content(db: Database, campaign: int) -> Content:
    """Raises LookupError if there is no such campaign."""
    async with db.statement() as tx:
        row = await tx.one(sql.SPEC, (campaign,))
    if row is None:
        raise LookupError(f"campaign {campaign} does not exist")
    account, spec, fields, started_at = row
    return Content(str(account), spec.encode(), fields.encode(), float(started_at or 0))


async def open_campaigns(db: Database, now: float, *, after: int, limit: int) -> list[OpenCampaign]:
    """Running campaigns with a shard whose work is due at `now` (epoch seconds), by id, from the
    first one above `after`."""
    async with db.statement() as tx:
        rows = await tx.fetch(sql.OPEN_CAMPAIGNS, (after, now, limit))
    return [OpenCampaign(int(row[0]), str(row[1]), float(row[2] or 0)) for row in rows]


async def open_shards(
    db: Database, campaigns: Sequence[int], now: float, limit: int
) -> list[tuple[int, int]]:
    """Unfinished shards with work due at `now`, the longest due first; of each campaign at most
    `limit`, so that a campaign's size does not matter."""
    if not campaigns:
        return []
    statement = "UNION ALL".join([sql.OPEN_SHARDS] * len(campaigns))
    arguments = [value for campaign in campaigns for value in (campaign, now, limit)]
    async with db.statement() as tx:
        rows = await tx.fetch(statement, arguments)
    return [(int(row[0]), int(row[1])) for row in rows]


async def take(db: Database, campaign: int, shard: int, host: str) -> Taken | None:
    """Makes `host` the shard's holder: a new epoch fences the predecessor (R5).

    Without a clean release before, everything claimed becomes ambiguous. None when the shard is
    finished or its campaign no longer runs.
    """
    async with db.transaction() as tx:
        # The lock comes first: a consistent read before it would show the ledger as it was before
        # the predecessor's last facts, and their recipients would be sent to again.
        row = await tx.one(sql.LOCK, (campaign, shard))
        state = await tx.one(sql.STATE, (campaign,))
        if row is None or state is None or state[0] != "running":
            return None
        size, epoch, clean, finished, claimed, done, ambiguous = (int(value) for value in row)
        if finished:
            return None
        if not clean:
            ambiguous = claimed
        if ambiguous <= done:
            ambiguous = 0
        epoch += 1
        await tx.execute(sql.TAKE, (epoch, host, ambiguous, campaign, shard))
        facts = await tx.fetch(ledger_sql.FACTS_ABOVE, (campaign, shard, done, claimed))
        strays = await tx.fetch(ledger_sql.AMBIGUOUS_RETRIES, (campaign, shard, epoch))
        next_due = await next_retry(tx, (campaign, shard))
    found = frozenset(int(fact[0]) for fact in facts)
    return Taken(size, epoch, claimed, done, ambiguous, found, bool(strays), next_due)


async def claim(db: Database, campaign: int, shard: int, epoch: int, upto: int) -> bool:
    """Commits the claim on all recipients up to `upto` (R2). False: fenced."""
    async with db.statement() as tx:
        return await tx.execute(sql.CLAIM, (upto, campaign, shard, epoch)) == 1


async def claim_retries(
    db: Database, campaign: int, shard: int, epoch: int, now: float, limit: int
) -> ClaimedRetries | None:
    """Claims retries due at `now` (R6). None: fenced."""
    key = (campaign, shard)
    async with db.transaction() as tx:
        if await tx.one(ledger_sql.FENCE, (*key, epoch)) is None:
            return None
        rows = await tx.fetch(ledger_sql.DUE_RETRIES, (*key, now, limit))
        if rows:
            seqs = [int(row[0]) for row in rows]
            await tx.execute(ledger_sql.CLAIM_RETRIES, (epoch, *key, tuple(seqs)))
        next_due = await next_retry(tx, key)
    attempts = [Attempt(int(row[0]), int(row[1]), bool(row[2])) for row in rows]
    return ClaimedRetries(attempts, next_due)


async def next_retry(tx: Transaction, key: tuple[int, int]) -> float | None:
    """When the earliest unclaimed retry of a shard is due (epoch seconds)."""
    row = await tx.one(ledger_sql.NEXT_RETRY, key)
    return float(row[0]) if row is not None and row[0] is not None else None


async def release(
    db: Database, campaign: int, shard: int, epoch: int, *, done: int, now: float, idle: bool
) -> bool:
    """Gives a shard back cleanly in one transaction (R7): claims without a fact were never
    attempted. `idle` says that nothing but retries is left, so the shard has no work before the
    earliest of them. Finishes the shard when nothing is left at all. False: fenced.

    The caller has committed every fact of the shard before.
    """
    key = (campaign, shard)
    async with db.transaction() as tx:
        if await tx.one(ledger_sql.FENCE, (*key, epoch)) is None:
            return False
        await tx.execute(ledger_sql.DROP_NEEDLESS, (*key, epoch))
        await tx.execute(ledger_sql.UNCLAIM_RETRIES, (*key, epoch))
        due_at = (await next_retry(tx, key) if idle else None) or now
        await tx.execute(sql.RELEASE, (done, due_at, *key, *key, epoch))
        if idle and not await tx.execute(sql.FINISH, (*key, epoch)):
            await tx.execute(sql.RECOUNT, (*key, *key))
            await tx.execute(sql.FINISH, (*key, epoch))
    return True


async def finish_campaign(db: Database, campaign: int, now: float) -> bool:
    """Ends a campaign when all its shards are finished and the sum of R1 holds."""
    async with db.statement() as tx:
        if await tx.one(sql.UNFINISHED, (campaign,)) is not None:
            return False
        return await tx.execute(sql.FINISH_CAMPAIGN, (now, campaign)) == 1


async def complete_campaigns(db: Database) -> list[int]:
    """Running campaigns of which every shard is finished."""
    async with db.statement() as tx:
        return [int(row[0]) for row in await tx.fetch(sql.COMPLETE_CAMPAIGNS)]


async def states(db: Database, campaigns: list[int]) -> dict[int, str]:
    """The present states of some campaigns."""
    if not campaigns:
        return {}
    async with db.statement() as tx:
        rows = await tx.fetch(sql.STATES, (tuple(campaigns),))
    return {int(row[0]): str(row[1]) for row in rows}
