"""Deletes campaigns that ended long ago, with everything that is kept about them.

It may be interrupted anywhere, repeated, and run beside daemons and beside itself. First the
campaign's `reason` says what is going on. Then its recipients go, a range at a time, each with all
that is known about them in one transaction: a recipient is there as before, or is not there. The
shards have the counts and go last, together with the campaign: until then `status` tells the true
outcomes, and the next purge finds the campaign again.

In a range the recipients go first. A notice locks its recipient (`feedback.take`), so it is
recorded before and deleted with the others, or finds nobody. Ids are not used again: both servers
remember the last one over a restart. No fact of an ended campaign can be on its way: a daemon would
have to keep it for as long as campaigns are kept.

Suppressions stay. Soft failures go by their own time, and before the campaigns: whether something
was accepted since a run began is asked of the ledger (`store/bounces.py`). Where that has no more
of a campaign that ended before some moment, a run that began before this moment would look unbroken
though it is not; so what is older than that must not be part of a run. What is younger needs
nothing that was deleted.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Concatenate, Final, NamedTuple, ParamSpec, TypeVar

from campaignd.store.db import Database, Transaction
from campaignd.store.patience import patiently
from campaignd.store.sql import clock
from campaignd.store.sql import purge as sql

P = ParamSpec("P")
T = TypeVar("T")

REASON: Final = "being purged: its outcomes and events are no longer complete"
"""Of a campaign of which something may have been deleted."""

BATCH_RECIPIENTS: Final = 2_000
"""In a transaction: with their facts some 4,000 rows, which take 25 ms."""

FAILURES_PAGE: Final = 5_000

BATCH_SECONDS: Final = 120.0
"""A server that is checkpointing hard may take seconds for a batch."""

_CAMPAIGNS_PAGE: Final = 500


class Due(NamedTuple):
    """What there is to be deleted."""

    campaigns: int
    recipients: int
    """As many as were enqueued; an interrupted purge may have deleted some."""
    soft_failures: int


class Ended(NamedTuple):
    """A campaign that may go."""

    id: int
    account: str
    name: str
    total: int
    finished_at: float
    """Epoch seconds."""


class Removed(NamedTuple):
    """What was deleted. A commit whose answer was lost counts as nothing, and so does what
    somebody else deleted meanwhile."""

    campaigns: int
    recipients: int
    rows: int
    """In all tables."""


Report = Callable[[int], None]
"""Called with the recipients that are done since the last call."""


async def days_ago(db: Database, days: float) -> float:
    """In epoch seconds by the server's clock: with a wrong one of ours, too much would go."""
    async with db.statement() as tx:
        [(now,)] = await tx.fetch(clock.NOW)
    return float(now) - days * 86_400


async def due(db: Database, before: float, account: str | None = None) -> Due:
    """What ended or failed before that moment (epoch seconds); of all accounts if it is None."""
    async with db.statement(timeout=BATCH_SECONDS) as tx:
        [(campaigns, recipients)] = await tx.fetch(sql.DUE, (before, account, account))
        [(failures,)] = await tx.fetch(sql.OLD_FAILURES, (before, account, account))
    return Due(int(campaigns), int(recipients), int(failures))


async def ended(db: Database, before: float, account: str | None = None) -> AsyncIterator[Ended]:
    """Finished and cancelled campaigns that ended before that moment, the oldest ids first."""
    last = 0
    while True:
        page = (before, account, account, last, _CAMPAIGNS_PAGE)
        rows = await _patiently(db, Transaction.fetch, sql.PAGE, page)
        for number, owner, name, total, at in rows:
            yield Ended(int(number), str(owner), str(name), int(total), float(at))
        if len(rows) < _CAMPAIGNS_PAGE:
            return
        last = int(rows[-1][0])


async def delete(
    db: Database, campaign: int, before: float, report: Report | None = None
) -> Removed:
    """Deletes a campaign that ended before that moment (epoch seconds); nothing if there is no
    such campaign.

    Raises StoreOutage when MySQL is away for longer than some seconds: then repeat it.
    """
    mark = (REASON, campaign, before)
    if not await _patiently(db, Transaction.execute, sql.MARK, mark):
        return Removed(0, 0, 0)
    recipients = rows = 0
    for shard, size in await _patiently(db, Transaction.fetch, sql.SHARDS, (campaign,)):
        for above in range(0, size, BATCH_RECIPIENTS):
            upto = min(above + BATCH_RECIPIENTS, size)
            people, about = await _patiently(db, _delete_range, campaign, shard, above, upto)
            recipients += people
            rows += people + about
            if report is not None:
                report(upto - above)
    shards, itself = await _patiently(db, _delete_campaign, campaign)
    return Removed(itself, recipients, rows + shards + itself)


async def forget_failures(db: Database, before: float, account: str | None = None) -> int:
    """Deletes the soft failures before that moment (epoch seconds); returns how many. To be done
    before campaigns of these accounts are deleted."""
    gone = 0
    owners = await _patiently(db, Transaction.fetch, sql.ACCOUNTS, (account, account))
    for (owner,) in owners:
        above = b""
        while True:
            page = (owner, above, FAILURES_PAGE)
            [(upto,)] = await _patiently(db, Transaction.fetch, sql.LAST_KEY, page)
            if upto is None:
                break
            place = (owner, above, bytes(upto), before)
            gone += await _patiently(db, Transaction.execute, sql.DELETE_FAILURES, place)
            above = bytes(upto)
    return gone


async def _delete_range(
    tx: Transaction, campaign: int, shard: int, above: int, upto: int
) -> tuple[int, int]:
    """The recipients, and the rows about them."""
    place = (campaign, shard, above, upto)
    recipients = await tx.execute(sql.DELETE_RECIPIENTS, place)
    about = [await tx.execute(statement, place) for statement in sql.DELETE_ABOUT]
    return recipients, sum(about)


async def _delete_campaign(tx: Transaction, campaign: int) -> tuple[int, int]:
    """Its shards and itself. A shard is 10,000 recipients, so of hundred million recipients these
    are 10,000 rows."""
    shards = await tx.execute(sql.DELETE_SHARDS, (campaign,))
    return shards, await tx.execute(sql.DELETE_CAMPAIGN, (campaign,))


async def _patiently(
    db: Database,
    work: Callable[Concatenate[Transaction, P], Awaitable[T]],
    *args: P.args,
    **kwargs: P.kwargs,
) -> T:
    """A transaction, which is repeated after a deadlock and when MySQL is away for a moment."""

    async def attempt() -> T:
        async with db.transaction(timeout=BATCH_SECONDS) as tx:
            return await work(tx, *args, **kwargs)

    return await patiently(attempt)
