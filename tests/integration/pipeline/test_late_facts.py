"""Facts of holders that are none any more, and facts written twice (R4)."""

from __future__ import annotations

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


async def lost_host(db: Database, size: int, *, resend: bool) -> int:
    """A campaign whose first holder, epoch 1, claimed everything and was lost; the second,
    epoch 2, has settled it."""
    campaign = await create(db, [size])
    await shards.take(db, campaign, 0, "one")
    await shards.claim(db, campaign, 0, 1, size)
    await shards.take(db, campaign, 0, "two")
    await ledger.resolve(db, "two", campaign, 0, 2, done=0, upto=size, resend=resend, now=NOW)
    return campaign


def test_a_late_result_replaces_unknown_and_spares_the_second_attempt(with_store: RunWork) -> None:
    async def work(db: Database) -> None:
        campaign = await lost_host(db, 2, resend=True)
        held = await ledger.record_exactly(
            db, "one", batch(campaign, 1, 1, fact(1, Outcome.ACCEPTED))
        )
        assert not held
        assert (await facts(db, campaign))[1, 1] is Outcome.ACCEPTED
        assert await retries(db, campaign) == {2: (2, True, 0)}
        row = await shard_row(db, campaign)
        assert (row.accepted, row.deferred, row.done) == (1, 1, 0)

    with_store(work)


def test_a_result_is_never_replaced(with_store: RunWork) -> None:
    async def work(db: Database) -> None:
        campaign = await create(db, [1])
        await shards.take(db, campaign, 0, "one")
        await shards.claim(db, campaign, 0, 1, 1)
        await ledger.record(db, "one", [batch(campaign, 1, 1, fact(1, Outcome.ACCEPTED))])
        await ledger.record_exactly(db, "one", batch(campaign, 1, 1, fact(1, Outcome.UNKNOWN)))
        assert await facts(db, campaign) == {(1, 1): Outcome.ACCEPTED}

    with_store(work)


def test_a_fact_written_again_does_not_bring_a_used_retry_back(with_store: RunWork) -> None:
    """The answer to a commit was lost, the host froze, another one made the second attempt; then
    the first writes its fact again. The recipient must not get a third message."""

    async def work(db: Database) -> None:
        campaign = await create(db, [1])
        await shards.take(db, campaign, 0, "one")
        await shards.claim(db, campaign, 0, 1, 1)
        first = batch(campaign, 1, 1, fact(1, Outcome.DEFERRED, retry=Retry(NOW, False)))
        assert await ledger.record_exactly(db, "one", first)
        await shards.take(db, campaign, 0, "two")
        assert await shards.claim_retries(db, campaign, 0, 2, NOW, 9) is not None
        second = batch(campaign, 2, 1, fact(1, Outcome.ACCEPTED, attempt=2))
        assert await ledger.record(db, "two", [second]) == []
        assert not await ledger.record_exactly(db, "one", first)
        assert await retries(db, campaign) == {}
        row = await shard_row(db, campaign)
        assert (row.accepted, row.deferred) == (1, 0)

    with_store(work)


def test_two_attempts_of_a_recipient_in_one_batch(with_store: RunWork) -> None:
    """The commit of the first fact was there although its answer was lost, so the retry was
    claimed and made while the fact waited to be written again."""

    async def work(db: Database) -> None:
        campaign = await create(db, [1])
        await shards.take(db, campaign, 0, "one")
        await shards.claim(db, campaign, 0, 1, 1)
        first = fact(1, Outcome.DEFERRED, retry=Retry(NOW, False))
        assert await ledger.record_exactly(db, "one", batch(campaign, 1, 1, first))
        assert await shards.claim_retries(db, campaign, 0, 1, NOW, 9) is not None
        both = batch(campaign, 1, 1, first, fact(1, Outcome.ACCEPTED, attempt=2))
        assert await ledger.record_exactly(db, "one", both)
        assert await retries(db, campaign) == {}
        row = await shard_row(db, campaign)
        assert (row.accepted, row.deferred) == (1, 0)

    with_store(work)


def test_a_late_unknown_does_not_bring_a_used_retry_back(with_store: RunWork) -> None:
    async def work(db: Database) -> None:
        campaign = await lost_host(db, 1, resend=True)
        await shards.claim_retries(db, campaign, 0, 2, NOW, 9)
        second = fact(1, Outcome.ACCEPTED, attempt=2, marked=True)
        assert await ledger.record_exactly(db, "two", batch(campaign, 2, 1, second))
        late = fact(1, Outcome.UNKNOWN, retry=Retry(NOW, True))
        assert not await ledger.record_exactly(db, "one", batch(campaign, 1, 1, late))
        assert await retries(db, campaign) == {}

    with_store(work)


def test_a_late_rejection_leaves_a_later_attempt_its_retry(with_store: RunWork) -> None:
    """Without its retry the recipient would be deferred for ever."""

    async def work(db: Database) -> None:
        campaign = await lost_host(db, 1, resend=True)
        await shards.claim_retries(db, campaign, 0, 2, NOW, 9)
        second = fact(1, Outcome.DEFERRED, attempt=2, marked=True, retry=Retry(NOW + 60, True))
        assert await ledger.record_exactly(db, "two", batch(campaign, 2, 1, second))
        late = batch(campaign, 1, 1, fact(1, Outcome.REJECTED))
        assert not await ledger.record_exactly(db, "one", late)
        assert await retries(db, campaign) == {1: (3, True, 0)}
        assert (await shard_row(db, campaign)).deferred == 1

    with_store(work)


def test_a_late_rejection_spares_an_attempt_that_was_not_begun(with_store: RunWork) -> None:
    async def work(db: Database) -> None:
        campaign = await lost_host(db, 1, resend=True)
        late = batch(campaign, 1, 1, fact(1, Outcome.REJECTED))
        assert not await ledger.record_exactly(db, "one", late)
        assert await retries(db, campaign) == {}
        row = await shard_row(db, campaign)
        assert (row.rejected, row.deferred) == (1, 0)

    with_store(work)


def test_a_claimed_attempt_keeps_its_retry_until_its_own_fact(with_store: RunWork) -> None:
    async def work(db: Database) -> None:
        campaign = await lost_host(db, 1, resend=True)
        await shards.claim_retries(db, campaign, 0, 2, NOW, 9)
        late = batch(campaign, 1, 1, fact(1, Outcome.ACCEPTED))
        assert not await ledger.record_exactly(db, "one", late)
        assert await retries(db, campaign) == {1: (2, True, 2)}
        assert (await shard_row(db, campaign)).accepted == 1
        second = fact(1, Outcome.ACCEPTED, attempt=2, marked=True)
        assert await ledger.record_exactly(db, "two", batch(campaign, 2, 1, second))
        assert await retries(db, campaign) == {}
        row = await shard_row(db, campaign)
        assert (row.accepted, row.maybe_duplicates) == (1, 1)

    with_store(work)


def test_a_claimed_retry_of_an_accepted_recipient_ends_with_a_clean_release(
    with_store: RunWork,
) -> None:
    async def work(db: Database) -> None:
        campaign = await lost_host(db, 1, resend=True)
        await shards.claim_retries(db, campaign, 0, 2, NOW, 9)
        await ledger.record_exactly(db, "one", batch(campaign, 1, 1, fact(1, Outcome.ACCEPTED)))
        assert await shards.release(db, campaign, 0, 2, done=1, now=NOW, idle=True)
        assert await retries(db, campaign) == {}
        assert (await shard_row(db, campaign)).finished == 1

    with_store(work)


def test_a_late_deferral_reopens_an_unknown_under_keep(with_store: RunWork) -> None:
    """It was certainly not accepted, so another attempt is no duplicate."""

    async def work(db: Database) -> None:
        campaign = await lost_host(db, 1, resend=False)
        late = fact(1, Outcome.DEFERRED, retry=Retry(NOW, False))
        assert not await ledger.record_exactly(db, "one", batch(campaign, 1, 1, late))
        assert await retries(db, campaign) == {1: (2, False, 0)}
        row = await shard_row(db, campaign)
        assert (row.deferred, row.unknown) == (1, 0)

    with_store(work)


def test_finished_means_finished(with_store: RunWork) -> None:
    """A deferral that comes after the end is recorded as the last word, not as a promise."""

    async def work(db: Database) -> None:
        campaign = await lost_host(db, 1, resend=False)
        assert await shards.release(db, campaign, 0, 2, done=1, now=NOW, idle=True)
        assert await shards.finish_campaign(db, campaign, NOW)
        late = fact(1, Outcome.DEFERRED, retry=Retry(NOW, False))
        assert not await ledger.record_exactly(db, "one", batch(campaign, 1, 1, late))
        assert await retries(db, campaign) == {}
        assert await facts(db, campaign) == {(1, 1): Outcome.EXPIRED}
        row = await shard_row(db, campaign)
        assert (row.finished, row.deferred, row.expired, row.unknown) == (1, 0, 1, 0)

    with_store(work)
