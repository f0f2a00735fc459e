"""The ledger of facts, and the reading of recipients.

Facts are true whoever holds the shard now, so adding one is idempotent and never refused (R4).
The counters of R1 stand on the shard's row and change in the same transaction: by difference
while the writer holds the shard, by a recount under the row's lock otherwise.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson
from pymysql.converters import escape_string

from campaignd.model import Fact, Outcome, Retry
from campaignd.store import bounces
from campaignd.store.bounces import Failure, RunLimits
from campaignd.store.db import Database, Transaction
from campaignd.store.shards import next_retry
from campaignd.store.sql import ledger as sql
from campaignd.store.sql import shards as shard_sql
from campaignd.store.sql import suppressions as suppression_sql

Recipient = tuple[int, str, list[Any], int]
"""seq, address, values in the order of the campaign's fields, the SuppressionReason or 0."""


class Resolution(NamedTuple):
    """What a takeover's ambiguous recipients came to."""

    seqs: list[int]
    """First attempts that now have a fact."""
    unknown: int
    """How many of them, and of claimed retries, got the fact `unknown`."""
    next_retry: float | None
    """When the shard's earliest unclaimed retry is due (epoch seconds)."""


class Batch(NamedTuple):
    """Facts of one shard. `done` is its contiguous mark, valid under `epoch`."""

    campaign: int
    shard: int
    epoch: int
    done: int
    facts: list[Fact]
    failures: Sequence[Failure] = ()
    """Of the facts, those after which an address may have to be suppressed."""
    limits: RunLimits = bounces.NO_RUNS


async def window(
    db: Database, account: str, campaign: int, shard: int, above: int, upto: int
) -> list[Recipient]:
    """The recipients above `above` up to and including `upto`, in order."""
    which = (campaign, shard, above, upto)
    return await _recipients(db, account, sql.WINDOW, sql.SUPPRESSED_IN_WINDOW, which)


async def picked(
    db: Database, account: str, campaign: int, shard: int, seqs: Sequence[int]
) -> list[Recipient]:
    """The recipients with these numbers, in order."""
    which = (campaign, shard, tuple(seqs))
    return await _recipients(db, account, sql.PICKED, sql.SUPPRESSED_OF_PICKED, which)


async def _recipients(
    db: Database, account: str, statement: str, suppressed: str, which: tuple[object, ...]
) -> list[Recipient]:
    """By domain, by hash and for all accounts few are suppressed; a list that has such entries
    costs a second query."""
    found: list[Recipient] = []
    others = 0
    async with db.statement() as tx:
        async for packed, others in tx.stream(statement, (account, account, *which)):  # noqa: B007
            found += orjson.loads(packed)
        found.sort()
        if others:
            of_account = (account,) * suppression_sql.OTHER_ARGUMENTS
            reasons: dict[int, int] = dict(await tx.fetch(suppressed, (*of_account, *which)))
            for index, (seq, address, values, reason) in enumerate(found if reasons else ()):
                found[index] = (seq, address, values, max(reason, reasons.get(seq, 0)))
    return found


async def record(db: Database, host: str, batches: Sequence[Batch]) -> list[Batch]:
    """Adds the facts of shards that the caller holds, and moves their marks, in one transaction.

    Only for facts whose recipients nobody else can have changed: a first attempt or a retry that
    is not marked `maybe_duplicate`, in a transaction that was never tried before. Returns the
    batches whose epoch has moved on; nothing of them is written: use `record_exactly`.
    """
    batches = sorted(batches)
    async with db.transaction() as tx:
        held = await _mark(tx, batches)
        if held:
            await _add_facts(tx, host, held)
            await _follow(tx, held)
            await _suppress(tx, held)
    return [batch for batch in batches if batch not in held]


async def record_exactly(db: Database, host: str, batch: Batch) -> bool:
    """Adds facts that may have been added before, or by a holder that is one no longer.

    Idempotent. The counters are recounted from the ledger under the shard's lock. Returns whether
    the caller still holds the shard; the marks move only then.
    """
    key = (batch.campaign, batch.shard)
    async with db.transaction() as tx:
        epoch, finished = await _lock(tx, key)
        held = epoch == batch.epoch
        seqs = tuple({fact.seq for fact in batch.facts})
        facts, ended = follow_up(batch.facts, await _latest(tx, key, seqs), finished=finished)
        exact = batch._replace(facts=facts)
        await _add_facts(tx, host, [exact])
        if seqs:
            await tx.execute(sql.DROP_MADE, (*key, seqs))
        if ended:
            await tx.execute(sql.DROP_UNCLAIMED, (*key, tuple(ended)))
        await _put_retries(tx, [exact])
        await _suppress(tx, [exact])
        if held:
            await tx.execute(shard_sql.DONE, (batch.done, *key, batch.epoch))
        await tx.execute(shard_sql.RECOUNT, (*key, *key))
    return held


async def resolve(
    db: Database,
    host: str,
    campaign: int,
    shard: int,
    epoch: int,
    *,
    done: int,
    upto: int,
    resend: bool,
    now: float,
) -> Resolution | None:
    """Settles what a dead predecessor left ambiguous (R5): recipients above `done` up to `upto`
    without a fact, and claimed retries of earlier epochs.

    Each gets the fact `unknown`; with `resend` also a retry, due at once, that is marked
    `maybe_duplicate`. None: fenced.
    """
    key = (campaign, shard)
    async with db.transaction() as tx:
        if (await _lock(tx, key))[0] != epoch:
            return None
        known = {int(row[0]) for row in await tx.fetch(sql.FACTS_ABOVE, (*key, done, upto))}
        first = [(seq, 1, False) for seq in range(done + 1, upto + 1) if seq not in known]
        strays = await tx.fetch(sql.AMBIGUOUS_RETRIES, (*key, epoch))
        again = [(int(row[0]), int(row[1]), bool(row[2])) for row in strays]
        latest = await _latest(tx, key, [seq for seq, _, _ in again])
        reached = {seq for seq, (_, accepted) in latest.items() if accepted}
        facts = [
            Fact(
                seq,
                attempt,
                Outcome.UNKNOWN,
                marked,
                0,
                "",
                "the host that claimed this attempt was lost",
                "",
                now,
                Retry(now, True) if resend and seq not in reached else None,
            )
            for seq, attempt, marked in first + again
        ]
        batch = Batch(campaign, shard, epoch, done, facts)
        await _add_facts(tx, host, [batch])
        if again:
            await tx.execute(sql.DROP_RETRIES, (*key, tuple(seq for seq, _, _ in again)))
        await _put_retries(tx, [batch])
        await tx.execute(shard_sql.RESOLVED, (*key, epoch))
        await tx.execute(shard_sql.RECOUNT, (*key, *key))
        next_due = await next_retry(tx, key)
    return Resolution([seq for seq, _, _ in first] + sorted(known), len(facts), next_due)


def follow_up(
    facts: Sequence[Fact], latest: Mapping[int, tuple[int, bool]], *, finished: bool
) -> tuple[list[Fact], list[int]]:
    """What facts that come late, or for the second time, still call for.

    `latest` has, for each recipient in the ledger, the number of its last attempt and whether any
    was accepted; `finished` says that the shard is. Returns the facts to add, and the recipients
    that need no other attempt. An attempt calls for another one only while it is the last.
    """
    last = {seq: number for seq, (number, _) in latest.items()}
    reached = {seq for seq, (_, accepted) in latest.items() if accepted}
    for fact in facts:
        last[fact.seq] = max(fact.attempt, last.get(fact.seq, 0))
        if fact.outcome is Outcome.ACCEPTED:
            reached.add(fact.seq)
    ended = [seq for seq in last if seq in reached]
    added = []
    for fact in facts:
        newest = fact.attempt == last[fact.seq] and fact.seq not in reached
        if fact.retry is None:
            if newest:
                ended.append(fact.seq)
        elif not newest:
            fact = fact._replace(retry=None)
        elif finished:
            fact = fact._replace(outcome=Outcome.EXPIRED, retry=None)
            ended.append(fact.seq)
        added.append(fact)
    return added, ended


async def _latest(
    tx: Transaction, key: tuple[int, int], seqs: Sequence[int]
) -> dict[int, tuple[int, bool]]:
    """See `follow_up`."""
    if not seqs:
        return {}
    rows = await tx.fetch(sql.LATEST, (*key, tuple(seqs)))
    return {int(seq): (int(number), bool(accepted)) for seq, number, accepted in rows}


async def _lock(tx: Transaction, key: tuple[int, int]) -> tuple[int, bool]:
    """The shard's epoch, and whether it is finished."""
    row = await tx.one(shard_sql.LOCK, key)
    if row is None:
        raise LookupError(f"shard {key} does not exist")
    return int(row[1]), bool(row[3])


async def _mark(tx: Transaction, batches: Sequence[Batch]) -> Sequence[Batch]:
    """Moves the marks and counters of all shards with one statement; returns those held."""
    rows = " UNION ALL ".join([shard_sql.MARK] * len(batches))
    values: list[int] = []
    for batch in batches:
        values += (batch.campaign, batch.shard, batch.epoch, batch.done, *_changes(batch.facts))
    matched = await tx.execute(shard_sql.MARKS.format(rows=rows), values)
    if matched == len(batches):
        return batches
    keys = ",".join(f"({batch.campaign},{batch.shard})" for batch in batches)
    epochs = await tx.fetch(shard_sql.EPOCHS.format(keys=keys))
    current = {(int(row[0]), int(row[1]), int(row[2])) for row in epochs}
    return [b for b in batches if (b.campaign, b.shard, b.epoch) in current]


def _changes(facts: Sequence[Fact]) -> list[int]:
    """By how much each counter of R1 changes, in the order of the MARK statement."""
    changes = [0] * 7
    for fact in facts:
        if fact.attempt > 1:
            changes[Outcome.DEFERRED] -= 1
        changes[fact.state] += 1
    return changes[1:]


async def _add_facts(tx: Transaction, host: str, batches: Sequence[Batch]) -> None:
    rows: list[str] = []
    quoted_host = escape_string(host)
    stamp, stamp_second = "", -1
    for batch in batches:
        prefix = f"({batch.campaign},{batch.shard},"
        for fact in batch.facts:
            at = fact.at
            second = int(at)
            if second != stamp_second:
                stamp_second = second
                stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(second))
            rows.append(
                f"{prefix}{fact.seq},{fact.attempt},{fact.outcome:d},{fact.maybe_duplicate:d},"
                f"{fact.code},'{escape_string(fact.enhanced)}',"
                f"'{stamp}.{int((at - second) * 1000):03d}','{quoted_host}',"
                f"'{escape_string(fact.relay)}','{escape_string(fact.text)}')"
            )
    if rows:
        await tx.execute(sql.ADD_FACTS.format(rows=",".join(rows)))


async def _follow(tx: Transaction, batches: Sequence[Batch]) -> None:
    """Retries put and dropped by facts of a holder."""
    for batch in batches:
        ended = [fact.seq for fact in batch.facts if fact.attempt > 1 and fact.retry is None]
        if ended:
            await tx.execute(sql.DROP_RETRIES, (batch.campaign, batch.shard, tuple(ended)))
    await _put_retries(tx, batches)


async def _suppress(tx: Transaction, batches: Sequence[Batch]) -> None:
    failures = [failure for batch in batches for failure in batch.failures]
    if failures:
        await bounces.follow_in(tx, failures, batches[0].limits)


async def _put_retries(tx: Transaction, batches: Sequence[Batch]) -> None:
    rows = [
        f"({batch.campaign},{batch.shard},{fact.seq},{fact.attempt + 1},"
        f"{fact.retry.maybe_duplicate:d},FROM_UNIXTIME({fact.retry.due_at:.3f}))"
        for batch in batches
        for fact in batch.facts
        if fact.retry is not None
    ]
    if rows:
        await tx.execute(sql.PUT_RETRIES.format(rows=",".join(rows)))
