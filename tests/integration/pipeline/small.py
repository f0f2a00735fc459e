"""Small campaigns in MySQL, and their state as plain values."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

from campaignd.model import Fact, Outcome, Retry
from campaignd.store.db import Database
from campaignd.store.ledger import Batch

Work = Callable[[Database], Coroutine[Any, Any, None]]
RunWork = Callable[[Work], None]

NOW = 1_790_000_000.0
"""Epoch seconds; a whole number of milliseconds, as MySQL keeps them."""

SHARD_COLUMNS = (
    "epoch", "owner", "clean", "finished", "claimed", "done", "ambiguous", "deferred", "accepted",
    "rejected", "expired", "suppressed", "`unknown`", "maybe_duplicates",
)  # fmt: skip


class ShardRow(NamedTuple):
    epoch: int
    owner: str
    clean: int
    finished: int
    claimed: int
    done: int
    ambiguous: int
    deferred: int
    accepted: int
    rejected: int
    expired: int
    suppressed: int
    unknown: int
    maybe_duplicates: int


async def create(db: Database, sizes: list[int], *, state: str = "running") -> int:
    """A campaign whose shard n has `sizes[n]` recipients, all due; returns its id."""
    async with db.transaction() as tx:
        campaign = await tx.insert(
            "INSERT INTO campaigns (account, name, state, spec, fields, total, created_at,"
            " started_at) VALUES ('acme', 'test', %s, '{}', '[\"name\"]', %s,"
            " FROM_UNIXTIME(%s), FROM_UNIXTIME(%s))",
            (state, sum(sizes), NOW, NOW),
        )
        for shard, size in enumerate(sizes):
            await tx.execute(
                "INSERT INTO shards (campaign_id, shard, size, due_at)"
                " VALUES (%s, %s, %s, FROM_UNIXTIME(%s))",
                (campaign, shard, size, NOW),
            )
            for seq in range(1, size + 1):
                await tx.execute(
                    "INSERT INTO recipients (campaign_id, shard, seq, address, address_key, fields)"
                    " VALUES (%s, %s, %s, %s, UNHEX(MD5(%s)), %s)",
                    (
                        campaign,
                        shard,
                        seq,
                        f"r{shard}-{seq}@example.org",
                        f"r{shard}-{seq}@example.org",
                        f'["name {seq}"]',
                    ),
                )
    return campaign


async def shard_row(db: Database, campaign: int, shard: int = 0) -> ShardRow:
    async with db.statement() as tx:
        row = await tx.one(
            f"SELECT {', '.join(SHARD_COLUMNS)} FROM shards WHERE campaign_id = %s AND shard = %s",
            (campaign, shard),
        )
    assert row is not None
    return ShardRow(*row)


async def facts(db: Database, campaign: int, shard: int = 0) -> dict[tuple[int, int], Outcome]:
    """The ledger of a shard: outcome by (seq, attempt)."""
    async with db.statement() as tx:
        rows = await tx.fetch(
            "SELECT seq, attempt, outcome FROM ledger WHERE campaign_id = %s AND shard = %s",
            (campaign, shard),
        )
    return {(int(seq), int(attempt)): Outcome(outcome) for seq, attempt, outcome in rows}


async def retries(db: Database, campaign: int, shard: int = 0) -> dict[int, tuple[int, bool, int]]:
    """The retries of a shard: (attempt, maybe_duplicate, claimed_epoch) by seq."""
    return {seq: row[:3] for seq, row in (await retry_rows(db, campaign, shard)).items()}


async def retry_rows(
    db: Database, campaign: int, shard: int = 0
) -> dict[int, tuple[int, bool, int, float]]:
    """The same, and when they are due (epoch seconds)."""
    async with db.statement() as tx:
        rows = await tx.fetch(
            "SELECT seq, attempt, maybe_duplicate, claimed_epoch, UNIX_TIMESTAMP(due_at)"
            " FROM retries WHERE campaign_id = %s AND shard = %s",
            (campaign, shard),
        )
    return {int(row[0]): (int(row[1]), bool(row[2]), int(row[3]), float(row[4])) for row in rows}


async def campaign_state(db: Database, campaign: int) -> str:
    async with db.statement() as tx:
        row = await tx.one("SELECT state FROM campaigns WHERE id = %s", (campaign,))
    assert row is not None
    return str(row[0])


async def due_at(db: Database, campaign: int, shard: int = 0) -> float:
    """When a shard has work again (epoch seconds)."""
    async with db.statement() as tx:
        row = await tx.one(
            "SELECT UNIX_TIMESTAMP(due_at) FROM shards WHERE campaign_id = %s AND shard = %s",
            (campaign, shard),
        )
    assert row is not None
    return float(row[0])


def fact(
    seq: int,
    outcome: Outcome,
    *,
    attempt: int = 1,
    marked: bool = False,
    retry: Retry | None = None,
    text: str = "text",
) -> Fact:
    return Fact(seq, attempt, outcome, marked, 250, "2.0.0", text, "relay", NOW, retry)


def batch(campaign: int, epoch: int, done: int, *facts: Fact, shard: int = 0) -> Batch:
    return Batch(campaign, shard, epoch, done, list(facts))
