"""What a purge deletes, what it leaves, and that it may be interrupted, on a real server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final

import pytest

from campaignd.errors import StoreOutage
from campaignd.model import CampaignState, Outcome
from campaignd.store import bounces, campaigns, outcomes, patience, purge, suppressions
from campaignd.store.bounces import Failure, RunLimits
from campaignd.store.db import Database, Transaction
from campaignd.store.feedback import Event, Feedback, Taken, take
from campaignd.store.purge import Due, Removed
from campaignd.tokens import RecipientId
from tests.integration.pipeline import small

Work = Callable[[Database], Coroutine[Any, Any, None]]
Run = Callable[[Work], None]

DAY: Final = 86_400.0
NOW: Final = small.NOW
BEFORE: Final = NOW - 30 * DAY
SIZES: Final = [5, 3]
ROWS: Final = 8 + 9 + 8 + 2 + 2 + 1
"""Of `ended`: recipients, facts, events, retries, shards, itself."""


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purge, "BATCH_RECIPIENTS", 2)
    monkeypatch.setattr(purge, "FAILURES_PAGE", 2)
    monkeypatch.setattr(purge, "_CAMPAIGNS_PAGE", 2)
    monkeypatch.setattr(patience, "PAUSE", 0.0)


async def ended(
    db: Database,
    days: float,
    *,
    state: CampaignState = CampaignState.FINISHED,
    account: str = "acme",
) -> int:
    """A campaign in this state, with rows in every table, whose end was so many days ago."""
    campaign = await small.create(db, SIZES, state=state.value)
    at = NOW - days * DAY
    async with db.transaction() as tx:
        await tx.execute(
            "UPDATE campaigns SET account = %s, finished_at = FROM_UNIXTIME(%s) WHERE id = %s",
            (account, at, campaign),
        )
        await tx.execute(
            "UPDATE shards SET finished = 1, accepted = size, done = size WHERE campaign_id = %s",
            (campaign,),
        )
        await tx.execute(
            "INSERT INTO ledger SELECT campaign_id, shard, seq, 1, 2, 0, 250, '',"
            " FROM_UNIXTIME(%s), 'h', 'r', '' FROM recipients WHERE campaign_id = %s",
            (at, campaign),
        )
        await tx.execute(
            "INSERT INTO ledger VALUES"
            " (%s, 0, 3, 2, 2, 1, 250, '', FROM_UNIXTIME(%s), 'h', 'r', '')",
            (campaign, at),
        )
        await tx.execute(
            "INSERT INTO events SELECT campaign_id, shard, seq, 1, 0, NOW(3), NOW(3), 't', '', ''"
            " FROM recipients WHERE campaign_id = %s",
            (campaign,),
        )
        await tx.execute(
            "INSERT INTO retries SELECT campaign_id, shard, seq, 2, 0, 0, NOW(3)"
            " FROM recipients WHERE campaign_id = %s AND seq = 3",
            (campaign,),
        )
        await tx.execute(
            "INSERT INTO soft_failures SELECT %s, address_key, campaign_id, FROM_UNIXTIME(%s)"
            " FROM recipients WHERE campaign_id = %s",
            (account, at, campaign),
        )
    return campaign


async def tables(db: Database) -> list[str]:
    """Those with rows of campaigns, and the one of campaigns."""
    async with db.statement() as tx:
        rows = await tx.fetch(
            "SELECT table_name FROM information_schema.columns"
            " WHERE table_schema = DATABASE() AND column_name = 'campaign_id'"
        )
    return sorted({"campaigns", *(str(row[0]) for row in rows)})


async def rows_of(db: Database, campaign: int) -> dict[str, tuple[Any, ...]]:
    """All rows of a campaign, by table."""
    found = {}
    for table in await tables(db):
        column = "id" if table == "campaigns" else "campaign_id"
        async with db.statement() as tx:
            found[table] = tuple(
                await tx.fetch(f"SELECT * FROM {table} WHERE {column} = %s", (campaign,))
            )
    return found


async def purged(db: Database, account: str | None = None) -> Removed:
    """All that ended before BEFORE, as the command does it."""
    sums = [0, 0, await purge.forget_failures(db, BEFORE, account)]
    async for campaign in purge.ended(db, BEFORE, account):
        removed = await purge.delete(db, campaign.id, BEFORE)
        sums = [a + b for a, b in zip(sums, removed, strict=True)]
    return Removed(*sums)


def test_everything_of_a_campaign_goes(with_store: Run) -> None:
    """A table that is new must be filled in `ended`, and emptied by the purge."""

    async def work(db: Database) -> None:
        campaign = await ended(db, 31)
        for table, rows in (await rows_of(db, campaign)).items():
            assert rows, f"{table}: the test puts nothing there"
        await suppressions.suppress(db, "acme", "r0-1@example.org", "unsubscribed", None)
        assert await purge.due(db, BEFORE) == Due(1, 8, 8)
        assert await purged(db) == Removed(1, 8, ROWS + 8)
        for table, rows in (await rows_of(db, campaign)).items():
            assert not rows, f"{table}: the purge leaves rows there"
        assert await suppressions.reason_for(db, "acme", "r0-1@example.org") == "unsubscribed"
        assert await purge.due(db, BEFORE) == Due(0, 0, 0)
        assert await purged(db) == Removed(0, 0, 0)
        assert await purge.delete(db, campaign, BEFORE) == Removed(0, 0, 0)

    with_store(work)


def test_only_what_ended_and_long_enough_ago(with_store: Run) -> None:
    """Five are to go, with others before, between and after them."""

    async def work(db: Database) -> None:
        gone, kept = [], []
        for state in CampaignState:
            over = state in (CampaignState.FINISHED, CampaignState.CANCELLED)
            (gone if over else kept).append(await ended(db, 31, state=state))
            kept.append(await ended(db, 29, state=state))
        gone += [await ended(db, 400) for _ in range(3)]
        async with db.statement() as tx:
            await tx.execute("DELETE FROM soft_failures")
        before = [await rows_of(db, campaign) for campaign in kept]
        assert await purge.due(db, BEFORE) == Due(5, 40, 0)
        found = [campaign async for campaign in purge.ended(db, BEFORE)]
        assert [campaign.id for campaign in found] == sorted(gone)
        assert {campaign.total for campaign in found} == {8}
        assert found[-1].finished_at == NOW - 400 * DAY
        for campaign in kept:
            assert await purge.delete(db, campaign, BEFORE) == Removed(0, 0, 0)
        assert await purged(db) == Removed(5, 40, 5 * ROWS)
        assert [await rows_of(db, campaign) for campaign in kept] == before
        for campaign in gone:
            assert not any((await rows_of(db, campaign)).values())

    with_store(work)


def test_of_one_account(with_store: Run) -> None:
    async def work(db: Database) -> None:
        ours, theirs = await ended(db, 31), await ended(db, 31, account="other")
        before = await rows_of(db, theirs)
        assert await purge.due(db, BEFORE, "acme") == Due(1, 8, 8)
        assert await purged(db, "acme") == Removed(1, 8, ROWS + 8)
        assert not any((await rows_of(db, ours)).values())
        assert await rows_of(db, theirs) == before
        assert await purged(db, "nobody") == Removed(0, 0, 0)

    with_store(work)


@pytest.mark.parametrize("batches", range(6))
def test_one_that_was_interrupted_is_completed_by_the_next(
    with_store: Run, monkeypatch: pytest.MonkeyPatch, batches: int
) -> None:
    """Wherever it ended, recipients are there with all about them or not at all, and the counts
    are right."""
    work_of = (purge._delete_range, purge._delete_campaign)
    left = batches

    def interrupted(function: Callable[..., Any]) -> Callable[..., Any]:
        async def work(tx: Transaction, *args: Any) -> Any:
            nonlocal left
            done = await function(tx, *args)
            left -= 1
            if left < 0:
                raise KeyError("interrupted")
            return done

        return work

    async def work(db: Database) -> None:
        campaign = await ended(db, 31)
        counts = (await campaigns.counts(db, [campaign]))[campaign].counts
        monkeypatch.setattr(purge, "_delete_range", interrupted(work_of[0]))
        monkeypatch.setattr(purge, "_delete_campaign", interrupted(work_of[1]))
        with pytest.raises(KeyError):
            await purged(db)
        monkeypatch.setattr(purge, "_delete_range", work_of[0])
        monkeypatch.setattr(purge, "_delete_campaign", work_of[1])
        summary = (await campaigns.counts(db, [campaign]))[campaign]
        assert (summary.counts, summary.campaign.reason) == (counts, purge.REASON)
        people = {row[:3] for row in (await rows_of(db, campaign))["recipients"]}
        assert len(people) == [8, 6, 4, 3, 1, 0][batches]
        for table in ("ledger", "events"):
            assert {row[:3] for row in (await rows_of(db, campaign))[table]} == people
        lines = [line async for part in outcomes.attempts(db, campaign) for line in part]
        assert {(campaign, line.shard, line.seq) for line in lines} == people
        assert await purge.due(db, BEFORE) == Due(1, 8, 0)
        assert (await purged(db))[:2] == (1, len(people))
        assert not any((await rows_of(db, campaign)).values())

    with_store(work)


def test_what_fails_for_a_moment_is_repeated(
    with_store: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = 0
    delete_range = purge._delete_range

    async def failing(tx: Transaction, *args: Any) -> Any:
        nonlocal tries
        done = await delete_range(tx, *args)
        tries += 1
        if tries % 3:
            raise StoreOutage("a deadlock")
        return done

    async def work(db: Database) -> None:
        campaign = await ended(db, 31)
        monkeypatch.setattr(purge, "_delete_range", failing)
        assert await purged(db) == Removed(1, 8, ROWS + 8)
        assert tries == 3 * 5
        assert not any((await rows_of(db, campaign)).values())

    with_store(work)


def test_a_server_that_stays_away_is_an_outage(
    with_store: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def failing(tx: Transaction, *args: Any) -> int:
        raise StoreOutage("away")

    async def work(db: Database) -> None:
        campaign = await ended(db, 31)
        before = await rows_of(db, campaign)
        with monkeypatch.context() as patch:
            patch.setattr(Transaction, "execute", failing)
            with pytest.raises(StoreOutage, match="away"):
                await purged(db)
        assert await rows_of(db, campaign) == before

    with_store(work)


def test_two_at_once(with_store: Run) -> None:
    async def work(db: Database) -> None:
        ids = [await ended(db, 31) for _ in range(5)]
        other = await ended(db, 1)
        before = await rows_of(db, other)
        done = await asyncio.gather(*(purged(db) for _ in range(3)))
        sums = [sum(figures) for figures in zip(*done, strict=True)]
        assert sums == [5, 40, 5 * (ROWS + 8)]
        for campaign in ids:
            assert not any((await rows_of(db, campaign)).values())
        assert await rows_of(db, other) == before

    with_store(work)


def test_a_notice_that_comes_meanwhile_leaves_nothing(with_store: Run) -> None:
    async def work(db: Database) -> None:
        campaign = await ended(db, 31)
        notices = [
            Feedback(Event.UNSUBSCRIBED, RecipientId(campaign, shard, seq), NOW, "test")
            for shard, size in enumerate(SIZES)
            for seq in range(1, size + 1)
        ]
        await purge.forget_failures(db, BEFORE)
        *answers, removed = await asyncio.gather(
            *(take(db, notice, NOW) for notice in notices), purge.delete(db, campaign, BEFORE)
        )
        assert removed[:2] == (1, 8)
        assert set(answers) <= {Taken.RECORDED, Taken.NO_RECIPIENT, Taken.NO_CAMPAIGN}
        assert not any((await rows_of(db, campaign)).values())

    with_store(work)


def test_progress(with_store: Run) -> None:
    async def work(db: Database) -> None:
        seen: list[int] = []
        await purge.delete(db, await ended(db, 31), BEFORE, seen.append)
        assert seen == [2, 2, 1, 2, 1]

    with_store(work)


def test_one_that_was_cancelled_while_loading(with_store: Run) -> None:
    async def work(db: Database) -> None:
        campaign = await small.create(db, [])
        await campaigns.cancel(db, campaign, BEFORE - 1)
        assert await purged(db) == Removed(1, 0, 1)

    with_store(work)


def test_the_clock_is_the_servers(with_store: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(db: Database) -> None:
        expected = time.time() - 30 * DAY
        monkeypatch.setattr(time, "time", lambda: 2 * NOW)
        assert abs(await purge.days_ago(db, 30) - expected) < 60

    with_store(work)


def test_soft_failures_go_by_their_own_time(with_store: Run) -> None:
    async def work(db: Database) -> None:
        old = [
            Failure(account, campaign, f"a{number}@example.org", BEFORE - 1 - number, False)
            for account in ("acme", "other")
            for campaign in (1, 2, 3)
            for number in range(5)
        ]
        young = [
            failure._replace(campaign=4, at=BEFORE + 1) for failure in old if failure.campaign == 1
        ]
        async with db.transaction() as tx:
            await bounces.follow_in(tx, old + young, bounces.NO_RUNS)
        assert (await purge.due(db, BEFORE, "acme")).soft_failures == 15
        assert await purge.forget_failures(db, BEFORE, "acme") == 15
        assert await purge.forget_failures(db, BEFORE) == 15
        async with db.statement() as tx:
            rows = await tx.fetch("SELECT campaign_id, COUNT(*) FROM soft_failures GROUP BY 1")
        assert rows == ((4, 10),)

    with_store(work)


def test_an_acceptance_that_was_deleted_still_ends_a_run(with_store: Run) -> None:
    """Without it, the failures before and after would look like one long run."""
    limits = RunLimits(3, 7)

    async def fails(db: Database, campaign: int, days: float) -> None:
        async with db.transaction() as tx:
            failure = Failure("acme", campaign, "r0-1@example.org", NOW - days * DAY, False)
            await bounces.follow_in(tx, [failure], limits)

    async def work(db: Database) -> None:
        accepted = await ended(db, 31)
        async with db.statement() as tx:
            await tx.execute("DELETE FROM soft_failures")
        assert (await small.facts(db, accepted))[1, 1] is Outcome.ACCEPTED
        await fails(db, 1_001, 32)
        await purged(db)
        await fails(db, 1_002, 5)
        await fails(db, 1_003, 1)
        assert await suppressions.reason_for(db, "acme", "r0-1@example.org") is None

    with_store(work)
