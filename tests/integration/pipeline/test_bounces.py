"""What follows from failures: suppressions at once, and after a run of campaigns."""

from __future__ import annotations

import itertools
from typing import Final

from campaignd.feedback import Event, Feedback, take
from campaignd.model import Outcome
from campaignd.store import ledger, shards, suppressions
from campaignd.store.bounces import Failure, RunLimits, follow_in
from campaignd.store.db import Database
from campaignd.tokens import RecipientId
from tests.integration.pipeline.small import NOW, RunWork, batch, create, fact

LIMITS: Final = RunLimits(3, 7.0)
DAY: Final = 86_400.0
_names = itertools.count(1)


def someone() -> str:
    return f"bounces-{next(_names)}@example.org"


async def fails(
    db: Database,
    address: str,
    campaign: int,
    day: float,
    *,
    bad: bool = False,
    account: str = "acme",
) -> None:
    """A campaign fails on this day."""
    async with db.transaction() as tx:
        failure = Failure(account, campaign, address, NOW + day * DAY, bad)
        await follow_in(tx, [failure], LIMITS)


async def suppressed(db: Database, address: str, account: str = "acme") -> bool:
    return await suppressions.reason_for(db, account, address) is not None


async def reached(db: Database, address: str, day: float) -> int:
    """A campaign of the same account that was accepted for this address."""
    campaign = await create(db, [1])
    async with db.transaction() as tx:
        await tx.execute(
            "UPDATE recipients SET address = %s, address_key = UNHEX(MD5(%s))"
            " WHERE campaign_id = %s",
            (address, address, campaign),
        )
    await shards.take(db, campaign, 0, "one")
    await shards.claim(db, campaign, 0, 1, 1)
    accepted = fact(1, Outcome.ACCEPTED)._replace(at=NOW + day * DAY)
    await ledger.record(db, "one", [batch(campaign, 1, 1, accepted)])
    return campaign


def test_a_bad_address_is_suppressed_after_one(with_store: RunWork) -> None:
    async def work(db: Database) -> None:
        address = someone()
        await fails(db, address, 1, 0, bad=True)
        assert await suppressed(db, address.upper())
        assert not await suppressed(db, address, "other"), "in the account of the campaign alone"
        await fails(db, address, 1, 0, bad=True)

    with_store(work)


def test_a_soft_one_after_a_run_over_days(with_store: RunWork) -> None:
    async def work(db: Database) -> None:
        address = someone()
        for campaign, day in ((1, 0.0), (2, 3.0), (3, 6.9)):
            await fails(db, address, campaign, day)
            assert not await suppressed(db, address)
        await fails(db, address.title(), 4, 7.0)
        assert await suppressed(db, address)

    with_store(work)


def test_many_in_a_day_are_no_run(with_store: RunWork) -> None:
    async def work(db: Database) -> None:
        address = someone()
        for campaign in range(1, 20):
            await fails(db, address, campaign, campaign / 20)
        assert not await suppressed(db, address)

    with_store(work)


def test_a_failure_that_is_recorded_again_counts_once(with_store: RunWork) -> None:
    async def work(db: Database) -> None:
        address = someone()
        for day in (0.0, 0.0, 8.0, 8.0):
            await fails(db, address, 1, day)
        await fails(db, address, 2, 9.0)
        assert not await suppressed(db, address)
        await fails(db, address, 3, 9.0)
        assert await suppressed(db, address)

    with_store(work)


def test_each_account_counts_for_itself(with_store: RunWork) -> None:
    async def work(db: Database) -> None:
        address = someone()
        await fails(db, address, 1, 0)
        await fails(db, address, 2, 8, account="other")
        await fails(db, address, 3, 9, account="other")
        await fails(db, address, 4, 9)
        assert not await suppressed(db, address)
        assert not await suppressed(db, address, "other")

    with_store(work)


def test_an_acceptance_ends_the_run(with_store: RunWork) -> None:
    async def work(db: Database) -> None:
        address = someone()
        await fails(db, address, 1 << 40, 0)
        await fails(db, address, 2 << 40, 4)
        await reached(db, address, 5)
        await fails(db, address, 3 << 40, 8)
        assert not await suppressed(db, address), "two failures before it, one after it"
        await fails(db, address, 4 << 40, 9)
        await fails(db, address, 5 << 40, 14)
        assert not await suppressed(db, address), "three, but within six days"
        await fails(db, address, 6 << 40, 15)
        assert await suppressed(db, address)

    with_store(work)


def test_what_a_relay_took_and_then_bounced_is_no_acceptance(with_store: RunWork) -> None:
    async def work(db: Database) -> None:
        address = someone()
        for day in (0, 4, 8):
            campaign = await reached(db, address, day)
            await fails(db, address, campaign, day + 0.1)
        assert await suppressed(db, address)

    with_store(work)


def test_a_suppression_that_is_lifted_begins_anew(with_store: RunWork) -> None:
    async def work(db: Database) -> None:
        address = someone()
        for campaign, day in ((1, 0), (2, 4), (3, 8)):
            await fails(db, address, campaign, day)
        assert await suppressions.lift(db, "acme", address)
        await fails(db, address, 4, 20)
        assert not await suppressed(db, address)

    with_store(work)


def test_it_is_one_transaction_with_the_fact(with_store: RunWork) -> None:
    """However it is recorded, and as often as it takes (R4)."""

    async def work(db: Database) -> None:
        campaign = await create(db, [2])
        await shards.take(db, campaign, 0, "one")
        await shards.claim(db, campaign, 0, 1, 2)
        first, second = someone(), someone()

        def refused(seq: int, address: str) -> ledger.Batch:
            failure = Failure("acme", campaign, address, NOW, True)
            plain = batch(campaign, 1, seq, fact(seq, Outcome.REJECTED))
            return plain._replace(failures=[failure], limits=LIMITS)

        assert await ledger.record(db, "one", [refused(1, first)]) == []
        assert await suppressed(db, first)
        await shards.take(db, campaign, 0, "two")
        assert await ledger.record(db, "one", [refused(2, second)]) != []
        assert not await suppressed(db, second), "nothing of what is fenced is written"
        for _ in range(2):
            assert not await ledger.record_exactly(db, "one", refused(2, second))
            assert await suppressed(db, second)

    with_store(work)


def test_a_bounce_that_comes_later_counts_in_the_run(with_store: RunWork) -> None:
    """Through relays nearly all of them do."""

    async def work(db: Database) -> None:
        address = someone()
        for day in (0, 4, 8):
            campaign = await reached(db, address, day)
            full = Feedback(
                Event.BOUNCED,
                RecipientId(campaign, 0, 1),
                NOW + (day + 0.1) * DAY,
                "dsn",
                "5.2.2",
                "552 5.2.2 mailbox full",
                permanent=False,
            )
            for _ in range(2):
                await take(db, full, NOW + 30 * DAY, LIMITS)
            assert await suppressed(db, address) is (day == 8)

    with_store(work)


def test_a_later_bounce_that_says_nothing_of_the_address(with_store: RunWork) -> None:
    async def work(db: Database) -> None:
        address = someone()
        for day in (0, 4, 8, 12):
            recipient = RecipientId(await reached(db, address, day), 0, 1)
            refused = Feedback(
                Event.BOUNCED, recipient, NOW + day * DAY, "dsn", "5.7.1",
                "550 5.7.1 blocked using zen.spamhaus.org", permanent=False,
            )  # fmt: skip
            await take(db, refused, NOW + 30 * DAY, LIMITS)
        assert not await suppressed(db, address)

    with_store(work)
