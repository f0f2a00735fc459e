"""Taking shards over (R5): what the next holder gets to know of the last one's work."""

from __future__ import annotations

import asyncio

from campaignd.model import Outcome, Retry
from campaignd.store import ledger, shards
from campaignd.store.db import Database
from tests.integration.pipeline.small import (
    NOW,
    RunWork,
    batch,
    create,
    fact,
    facts,
    retries,
    shard_row,
)


def test_a_fresh_shard(with_store: RunWork) -> None:
    async def work(db: Database) -> None:
        campaign = await create(db, [5])
        taken = await shards.take(db, campaign, 0, "one")
        assert taken is not None
        assert taken == (5, 1, 0, 0, 0, frozenset(), False, None)
        row = await shard_row(db, campaign)
        assert (row.owner, row.clean, row.epoch) == ("one", 0, 1)

    with_store(work)


def test_only_running_campaigns_and_unfinished_shards_can_be_taken(with_store: RunWork) -> None:
    async def work(db: Database) -> None:
        paused = await create(db, [1], state="paused")
        assert await shards.take(db, paused, 0, "one") is None
        assert (await shard_row(db, paused)).epoch == 0
        finished = await create(db, [1])
        assert await shards.take(db, finished, 0, "one") is not None
        await shards.claim(db, finished, 0, 1, 1)
        await ledger.record(db, "one", [batch(finished, 1, 1, fact(1, Outcome.ACCEPTED))])
        assert await shards.release(db, finished, 0, 1, done=1, now=NOW, idle=True)
        assert await shards.take(db, finished, 0, "two") is None
        assert await shards.take(db, finished, 7, "two") is None

    with_store(work)


def test_without_a_release_everything_claimed_without_a_fact_is_ambiguous(
    with_store: RunWork,
) -> None:
    async def work(db: Database) -> None:
        campaign = await create(db, [10])
        await shards.take(db, campaign, 0, "one")
        await shards.claim(db, campaign, 0, 1, 6)
        late = [fact(1, Outcome.ACCEPTED), fact(3, Outcome.REJECTED)]
        await ledger.record(db, "one", [batch(campaign, 1, 1, *late)])
        taken = await shards.take(db, campaign, 0, "two")
        assert taken is not None
        assert (taken.claimed, taken.done, taken.ambiguous) == (6, 1, 6)
        assert taken.facts == {3}

    with_store(work)


def test_after_a_release_nothing_is_ambiguous(with_store: RunWork) -> None:
    async def work(db: Database) -> None:
        campaign = await create(db, [10])
        await shards.take(db, campaign, 0, "one")
        await shards.claim(db, campaign, 0, 1, 6)
        await ledger.record(db, "one", [batch(campaign, 1, 0, fact(2, Outcome.ACCEPTED))])
        assert await shards.release(db, campaign, 0, 1, done=0, now=NOW, idle=False)
        taken = await shards.take(db, campaign, 0, "two")
        assert taken is not None
        assert (taken.claimed, taken.done, taken.ambiguous, taken.facts) == (
            2,
            0,
            0,
            frozenset({2}),
        )

    with_store(work)


def test_an_unsettled_predecessor_stays_ambiguous_over_a_clean_release(with_store: RunWork) -> None:
    async def work(db: Database) -> None:
        campaign = await create(db, [10])
        await shards.take(db, campaign, 0, "one")
        await shards.claim(db, campaign, 0, 1, 4)
        await shards.take(db, campaign, 0, "two")
        await shards.claim(db, campaign, 0, 2, 8)
        assert await shards.release(db, campaign, 0, 2, done=0, now=NOW, idle=False)
        taken = await shards.take(db, campaign, 0, "three")
        assert taken is not None
        assert (taken.claimed, taken.ambiguous) == (4, 4)

    with_store(work)


def test_a_host_lost_after_its_last_fact_leaves_nothing_to_settle(with_store: RunWork) -> None:
    """Otherwise the shard could never finish: nobody would settle what is not there."""

    async def work(db: Database) -> None:
        campaign = await create(db, [3])
        await shards.take(db, campaign, 0, "one")
        await shards.claim(db, campaign, 0, 1, 3)
        all_of_it = [fact(seq, Outcome.ACCEPTED) for seq in (1, 2, 3)]
        await ledger.record(db, "one", [batch(campaign, 1, 3, *all_of_it)])
        taken = await shards.take(db, campaign, 0, "two")
        assert taken is not None
        assert (taken.done, taken.ambiguous) == (3, 0)
        assert await shards.release(db, campaign, 0, 2, done=3, now=NOW, idle=True)
        assert (await shard_row(db, campaign)).finished == 1

    with_store(work)


def test_claimed_retries_of_a_lost_host_are_strays(with_store: RunWork) -> None:
    async def work(db: Database) -> None:
        campaign = await create(db, [3])
        await shards.take(db, campaign, 0, "one")
        await shards.claim(db, campaign, 0, 1, 3)
        again = fact(1, Outcome.DEFERRED, retry=Retry(NOW + 5, False))
        later = fact(2, Outcome.DEFERRED, retry=Retry(NOW + 50, False))
        await ledger.record(db, "one", [batch(campaign, 1, 2, again, later)])
        claimed = await shards.claim_retries(db, campaign, 0, 1, NOW + 5, 9)
        assert claimed is not None
        assert claimed.attempts == [(1, 2, False)]
        assert claimed.next_due == NOW + 50
        taken = await shards.take(db, campaign, 0, "two")
        assert taken is not None
        assert taken.stray_retries
        assert taken.next_retry == NOW + 50

    with_store(work)


def test_facts_committed_while_a_takeover_waits_for_the_shard_are_seen(
    with_store: RunWork,
) -> None:
    """A consistent read before the shard's lock would show the ledger of an earlier moment, and
    a recipient recorded since then would be sent to again."""

    async def work(db: Database) -> None:
        campaign = await create(db, [10])
        await shards.take(db, campaign, 0, "one")
        await shards.claim(db, campaign, 0, 1, 4)
        async with db.transaction() as holder:
            await holder.one(
                "SELECT 1 FROM shards WHERE campaign_id = %s AND shard = 0 FOR UPDATE", (campaign,)
            )
            takeover = asyncio.create_task(shards.take(db, campaign, 0, "two"))
            await _until_waiting(db)
            await holder.execute(
                "INSERT INTO ledger (campaign_id, shard, seq, attempt, outcome, maybe_duplicate,"
                " code, enhanced, at, host, relay, response)"
                " VALUES (%s, 0, 3, 1, 2, 0, 250, '', NOW(), 'one', '', '')",
                (campaign,),
            )
        taken = await takeover
        assert taken is not None
        assert taken.facts == {3}

    with_store(work)


async def _until_waiting(db: Database) -> None:
    """Until some transaction waits for a row's lock. InnoDB shows a state that is up to 100 ms
    old, and a new one only to who has not asked for as long."""
    for _ in range(40):
        async with db.statement() as tx:
            if await tx.fetch(
                "SELECT 1 FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"
            ):
                return
        await asyncio.sleep(0.12)
    raise AssertionError("nobody waits for the lock")


def test_resolving_asks_for_every_recipient_without_a_fact(with_store: RunWork) -> None:
    async def work(db: Database) -> None:
        campaign = await create(db, [6])
        await shards.take(db, campaign, 0, "one")
        await shards.claim(db, campaign, 0, 1, 4)
        await ledger.record(db, "one", [batch(campaign, 1, 0, fact(2, Outcome.ACCEPTED))])
        await shards.take(db, campaign, 0, "two")
        settled = await ledger.resolve(
            db, "two", campaign, 0, 2, done=0, upto=4, resend=True, now=NOW
        )
        assert settled is not None
        assert sorted(settled.seqs) == [1, 2, 3, 4]
        assert (settled.unknown, settled.next_retry) == (3, NOW)
        assert await retries(db, campaign) == dict.fromkeys((1, 3, 4), (2, True, 0))
        row = await shard_row(db, campaign)
        assert (row.ambiguous, row.deferred, row.accepted, row.unknown) == (0, 3, 1, 0)
        again = await ledger.resolve(
            db, "two", campaign, 0, 2, done=0, upto=4, resend=True, now=NOW
        )
        assert again is not None
        assert (sorted(again.seqs), again.unknown) == ([1, 2, 3, 4], 0)
        assert await shard_row(db, campaign) == row

    with_store(work)


def test_resolving_under_keep_sends_nothing_again(with_store: RunWork) -> None:
    async def work(db: Database) -> None:
        campaign = await create(db, [2])
        await shards.take(db, campaign, 0, "one")
        await shards.claim(db, campaign, 0, 1, 2)
        first = fact(1, Outcome.DEFERRED, retry=Retry(NOW, False))
        await ledger.record(db, "one", [batch(campaign, 1, 1, first)])
        await shards.claim_retries(db, campaign, 0, 1, NOW, 9)
        await shards.take(db, campaign, 0, "two")
        settled = await ledger.resolve(
            db, "two", campaign, 0, 2, done=1, upto=2, resend=False, now=NOW
        )
        assert settled is not None
        assert (settled.seqs, settled.unknown, settled.next_retry) == ([2], 2, None)
        assert await retries(db, campaign) == {}
        assert await facts(db, campaign) == {
            (1, 1): Outcome.DEFERRED,
            (1, 2): Outcome.UNKNOWN,
            (2, 1): Outcome.UNKNOWN,
        }
        assert (await shard_row(db, campaign)).unknown == 2

    with_store(work)


def test_a_stray_retry_of_an_accepted_recipient_is_not_sent_again(with_store: RunWork) -> None:
    """Its earlier attempt's acceptance came late; another attempt could only be a duplicate."""

    async def work(db: Database) -> None:
        campaign = await create(db, [1])
        await shards.take(db, campaign, 0, "one")
        await shards.claim(db, campaign, 0, 1, 1)
        await shards.take(db, campaign, 0, "two")
        await ledger.resolve(db, "two", campaign, 0, 2, done=0, upto=1, resend=True, now=NOW)
        assert await shards.claim_retries(db, campaign, 0, 2, NOW, 9) is not None
        late = batch(campaign, 1, 0, fact(1, Outcome.ACCEPTED))
        assert not await ledger.record_exactly(db, "one", late)
        await shards.take(db, campaign, 0, "three")
        settled = await ledger.resolve(
            db, "three", campaign, 0, 3, done=0, upto=1, resend=True, now=NOW
        )
        assert settled is not None
        assert settled.next_retry is None
        assert await retries(db, campaign) == {}
        row = await shard_row(db, campaign)
        assert (row.accepted, row.deferred, row.ambiguous) == (1, 0, 0)

    with_store(work)


def test_resolving_is_fenced(with_store: RunWork) -> None:
    async def work(db: Database) -> None:
        campaign = await create(db, [2])
        await shards.take(db, campaign, 0, "one")
        await shards.claim(db, campaign, 0, 1, 2)
        await shards.take(db, campaign, 0, "two")
        assert (
            await ledger.resolve(db, "one", campaign, 0, 1, done=0, upto=2, resend=True, now=NOW)
            is None
        )
        assert await facts(db, campaign) == {}

    with_store(work)
