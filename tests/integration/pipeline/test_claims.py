"""Claims, releases and the end (R2, R6, R7): what is written under an epoch, what is refused."""

from __future__ import annotations

import pytest

from campaignd.model import Outcome, Retry
from campaignd.store import ledger, shards, suppressions
from campaignd.store.db import Database
from tests.integration.pipeline.small import (
    NOW,
    RunWork,
    batch,
    campaign_state,
    create,
    due_at,
    fact,
    retries,
    shard_row,
)


def test_a_claim_needs_the_epoch(with_store: RunWork) -> None:
    async def work(db: Database) -> None:
        campaign = await create(db, [9])
        await shards.take(db, campaign, 0, "one")
        assert await shards.claim(db, campaign, 0, 1, 4)
        assert await shards.claim(db, campaign, 0, 1, 4)  # matched, though nothing changes
        await shards.take(db, campaign, 0, "two")
        assert not await shards.claim(db, campaign, 0, 1, 8)
        assert (await shard_row(db, campaign)).claimed == 4

    with_store(work)


def test_a_claim_never_moves_back(with_store: RunWork) -> None:
    """A statement that was under way when its connection broke may be carried out after a later
    one; what was claimed since then has perhaps been sent."""

    async def work(db: Database) -> None:
        campaign = await create(db, [9])
        await shards.take(db, campaign, 0, "one")
        assert await shards.claim(db, campaign, 0, 1, 8)
        assert await shards.claim(db, campaign, 0, 1, 4)
        assert (await shard_row(db, campaign)).claimed == 8

    with_store(work)


def test_due_retries_are_claimed_once(with_store: RunWork) -> None:
    async def work(db: Database) -> None:
        campaign = await create(db, [3])
        await shards.take(db, campaign, 0, "one")
        await shards.claim(db, campaign, 0, 1, 3)
        deferred = [
            fact(seq, Outcome.DEFERRED, retry=Retry(NOW + seq, seq == 2)) for seq in (1, 2, 3)
        ]
        await ledger.record(db, "one", [batch(campaign, 1, 3, *deferred)])
        assert await shards.claim_retries(db, campaign, 0, 1, NOW, 9) == ([], NOW + 1)
        assert await shards.claim_retries(db, campaign, 0, 1, NOW + 3, 2) == (
            [(1, 2, False), (2, 2, True)],
            NOW + 3,
        )
        assert await shards.claim_retries(db, campaign, 0, 1, NOW + 3, 2) == (
            [(3, 2, False)],
            None,
        )
        assert await shards.claim_retries(db, campaign, 0, 7, NOW + 3, 2) is None

    with_store(work)


def test_a_clean_release_gives_claimed_retries_back(with_store: RunWork) -> None:
    async def work(db: Database) -> None:
        campaign = await create(db, [1])
        await shards.take(db, campaign, 0, "one")
        await shards.claim(db, campaign, 0, 1, 1)
        deferred = fact(1, Outcome.DEFERRED, retry=Retry(NOW + 1, False))
        await ledger.record(db, "one", [batch(campaign, 1, 1, deferred)])
        await shards.claim_retries(db, campaign, 0, 1, NOW + 1, 9)
        assert await shards.release(db, campaign, 0, 1, done=1, now=NOW + 2, idle=True)
        assert await retries(db, campaign) == {1: (2, False, 0)}
        row = await shard_row(db, campaign)
        assert (row.clean, row.owner, row.finished) == (1, "", 0)
        assert await due_at(db, campaign) == NOW + 1
        assert not await shards.release(db, campaign, 0, 7, done=1, now=NOW + 2, idle=True)

    with_store(work)


def test_a_shard_with_windows_left_is_due_at_once(with_store: RunWork) -> None:
    async def work(db: Database) -> None:
        campaign = await create(db, [5])
        await shards.take(db, campaign, 0, "one")
        await shards.claim(db, campaign, 0, 1, 1)
        deferred = fact(1, Outcome.DEFERRED, retry=Retry(NOW + 60, False))
        await ledger.record(db, "one", [batch(campaign, 1, 1, deferred)])
        assert await shards.release(db, campaign, 0, 1, done=1, now=NOW + 2, idle=False)
        assert await due_at(db, campaign) == NOW + 2
        assert await shards.open_shards(db, [campaign], NOW + 1, 9) == []
        assert await shards.open_shards(db, [campaign], NOW + 2, 9) == [(campaign, 0)]
        found = await shards.open_campaigns(db, NOW + 2, after=campaign - 1, limit=1)
        assert (campaign, "acme", NOW) in found

    with_store(work)


def test_a_shard_finishes_only_when_the_sum_holds(with_store: RunWork) -> None:
    async def work(db: Database) -> None:
        campaign = await create(db, [2])
        await shards.take(db, campaign, 0, "one")
        await shards.claim(db, campaign, 0, 1, 2)
        await ledger.record(db, "one", [batch(campaign, 1, 1, fact(1, Outcome.ACCEPTED))])
        assert await shards.release(db, campaign, 0, 1, done=2, now=NOW, idle=True)
        assert (await shard_row(db, campaign)).finished == 0
        assert not await shards.finish_campaign(db, campaign, NOW)

    with_store(work)


def test_a_campaign_finishes_with_its_last_shard(with_store: RunWork) -> None:
    async def work(db: Database) -> None:
        campaign = await create(db, [1, 1])
        for shard in (0, 1):
            assert not await shards.finish_campaign(db, campaign, NOW)
            assert campaign not in await shards.complete_campaigns(db)
            await shards.take(db, campaign, shard, "one")
            await shards.claim(db, campaign, shard, 1, 1)
            done = batch(campaign, 1, 1, fact(1, Outcome.SUPPRESSED), shard=shard)
            await ledger.record(db, "one", [done])
            assert await shards.release(db, campaign, shard, 1, done=1, now=NOW, idle=True)
        assert campaign in await shards.complete_campaigns(db)
        assert await shards.finish_campaign(db, campaign, NOW)
        assert not await shards.finish_campaign(db, campaign, NOW)
        assert await campaign_state(db, campaign) == "finished"
        assert await shards.states(db, [campaign]) == {campaign: "finished"}
        assert await shards.states(db, []) == {}

    with_store(work)


def test_a_release_mends_counters_that_do_not_hold(with_store: RunWork) -> None:
    """Should they ever be wrong, the ledger decides, and the campaign still ends."""

    async def work(db: Database) -> None:
        campaign = await create(db, [1])
        await shards.take(db, campaign, 0, "one")
        await shards.claim(db, campaign, 0, 1, 1)
        await ledger.record(db, "one", [batch(campaign, 1, 1, fact(1, Outcome.ACCEPTED))])
        async with db.statement() as tx:
            await tx.execute("UPDATE shards SET deferred = 1 WHERE campaign_id = %s", (campaign,))
        assert await shards.release(db, campaign, 0, 1, done=1, now=NOW, idle=True)
        row = await shard_row(db, campaign)
        assert (row.finished, row.deferred, row.accepted) == (1, 0, 1)

    with_store(work)


def test_recording_reports_what_is_fenced_and_writes_the_rest(with_store: RunWork) -> None:
    async def work(db: Database) -> None:
        campaign = await create(db, [2, 2])
        for shard in (0, 1):
            await shards.take(db, campaign, shard, "one")
            await shards.claim(db, campaign, shard, 1, 2)
        await shards.take(db, campaign, 1, "two")
        mine = batch(campaign, 1, 1, fact(1, Outcome.ACCEPTED), shard=0)
        lost = batch(campaign, 1, 1, fact(1, Outcome.ACCEPTED), shard=1)
        assert await ledger.record(db, "one", [lost, mine]) == [lost]
        assert (await shard_row(db, campaign, 0)).accepted == 1
        row = await shard_row(db, campaign, 1)
        assert (row.accepted, row.done) == (0, 0)

    with_store(work)


def test_content_and_recipients(with_store: RunWork) -> None:
    async def work(db: Database) -> None:
        campaign = await create(db, [150])
        content = await shards.content(db, campaign)
        assert content == ("acme", b"{}", b'["name"]', NOW)
        with pytest.raises(LookupError):
            await shards.content(db, 1 << 40)
        window = await ledger.window(db, "acme", campaign, 0, 60, 140)
        assert [row[0] for row in window] == list(range(61, 141))
        assert list(window[0]) == [61, "r0-61@example.org", ["name 61"], 0]
        await suppressions.suppress(db, "acme", "r0-7@example.org", "manual", None)
        picked = await ledger.picked(db, "acme", campaign, 0, [130, 7, 1])
        assert [(row[0], row[3]) for row in picked] == [(1, 0), (7, 3), (130, 0)]
        other = await ledger.picked(db, "other", campaign, 0, [7])
        assert other[0][3] == 0

    with_store(work)
