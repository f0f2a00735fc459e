"""Brakes on real campaigns: the pause, its reason, and complaints."""

from __future__ import annotations

import pytest

from campaignd.config import Brakes as Limits
from campaignd.feedback import Event, Feedback, take
from campaignd.model import Outcome
from campaignd.pipeline.brakes import Brakes
from campaignd.pipeline.braking import ASK_SECONDS, Braking
from campaignd.smtp.bounces import Bounce
from campaignd.store import campaigns, ledger, shards
from campaignd.store.db import Database
from campaignd.tokens import RecipientId
from tests.integration.pipeline.small import NOW, RunWork, batch, create, fact

LIMITS = Limits(window=300.0, sample=20, rejected=0.2, complained=0.1)


def see(brakes: Brakes, campaign: int, outcome: Outcome, count: int, at: float) -> None:
    bounce = Bounce.ADDRESS_BAD if outcome is Outcome.REJECTED else None
    for n in range(count):
        brakes.saw(campaign, "one", f"r@d{n % 10}.example".encode(), outcome, bounce, at)


async def state_of(db: Database, campaign: int) -> tuple[str, str]:
    found = await campaigns.get(db, campaign)
    return found.state.value, found.reason


def test_a_campaign_pauses_itself_and_begins_anew(with_store: RunWork) -> None:
    async def work(db: Database) -> None:
        campaign, other = await create(db, [1]), await create(db, [1])
        brakes = Brakes(LIMITS)
        braking = Braking(db, brakes, lambda: {campaign, other}, lambda: NOW)
        see(brakes, campaign, Outcome.ACCEPTED, 60, NOW)
        see(brakes, other, Outcome.ACCEPTED, 60, NOW)
        see(brakes, campaign, Outcome.REJECTED, 40, NOW)
        await braking.look(NOW)
        assert await state_of(db, campaign) == (
            "paused",
            "paused by brakes: 40 % of 100 attempts rejected in 5 min, mostly address_bad",
        )
        assert await state_of(db, other) == ("running", "")
        await campaigns.resume(db, campaign)
        await braking.look(NOW + 1)
        assert (await state_of(db, campaign))[0] == "running"

    with_store(work)


def test_somebody_else_was_faster(with_store: RunWork) -> None:
    async def work(db: Database) -> None:
        campaign = await create(db, [1])
        brakes = Brakes(LIMITS)
        braking = Braking(db, brakes, lambda: {campaign}, lambda: NOW)
        see(brakes, campaign, Outcome.REJECTED, 40, NOW)
        await campaigns.pause(db, campaign, reason="paused by anna")
        await braking.look(NOW)
        assert await state_of(db, campaign) == ("paused", "paused by anna")

    with_store(work)


def test_what_this_host_works_on_no_more_is_forgotten(with_store: RunWork) -> None:
    async def work(db: Database) -> None:
        campaign = await create(db, [1])
        brakes = Brakes(LIMITS)
        running = {campaign}
        braking = Braking(db, brakes, lambda: running, lambda: NOW)
        see(brakes, campaign, Outcome.REJECTED, 40, NOW)
        running.clear()
        await braking.look(NOW)
        running.add(campaign)
        await braking.look(NOW + 1)
        assert (await state_of(db, campaign))[0] == "running"

    with_store(work)


async def accept(db: Database, campaign: int, epoch: int, first: int, last: int, at: float) -> None:
    facts = [fact(seq, Outcome.ACCEPTED)._replace(at=at) for seq in range(first, last + 1)]
    assert await ledger.record(db, "one", [batch(campaign, epoch, last, *facts)]) == []


async def tell(
    db: Database, event: Event, campaign: int, seqs: range, at: float, *, permanent: bool = True
) -> None:
    for seq in seqs:
        recipient = RecipientId(campaign, 0, seq)
        notice = Feedback(event, recipient, at, "test", "5.1.1", "", permanent=permanent)
        await take(db, notice, at)


async def complain(db: Database, campaign: int, first: int, last: int) -> None:
    await tell(db, Event.COMPLAINED, campaign, range(first, last + 1), NOW + 1)


async def spread(db: Database, campaign: int, domains: int) -> None:
    """Its recipients at so many domains."""
    async with db.transaction() as tx:
        await tx.execute(
            "UPDATE recipients SET address = CONCAT('r', seq, '@d', MOD(seq, %s), '.example')"
            " WHERE campaign_id = %s",
            (domains, campaign),
        )


@pytest.mark.parametrize("domains", [1, 10])
def test_bounces_after_the_acceptance_pause_a_campaign(with_store: RunWork, domains: int) -> None:
    """A relay takes everything at first. Those of one destination alone are no reason."""

    async def work(db: Database) -> None:
        campaign = await create(db, [400])
        await spread(db, campaign, domains)
        await shards.take(db, campaign, 0, "one")
        await shards.claim(db, campaign, 0, 1, 400)
        braking = Braking(db, Brakes(LIMITS), lambda: {campaign}, lambda: NOW)
        await braking.look(NOW)
        await accept(db, campaign, 1, 1, 100, NOW + 1)
        await tell(db, Event.BOUNCED, campaign, range(1, 101), NOW + 2, permanent=False)
        await tell(db, Event.BOUNCED, campaign, range(1, 20), NOW + 2)
        await braking.look(NOW + ASK_SECONDS)
        assert (await state_of(db, campaign))[0] == "running"
        await tell(db, Event.BOUNCED, campaign, range(20, 41), NOW + 3)
        await braking.look(NOW + 2 * ASK_SECONDS)
        if domains == 1:
            assert (await state_of(db, campaign))[0] == "running"
            return
        assert await state_of(db, campaign) == (
            "paused",
            "paused by brakes: 40 % of 100 accepted messages bounced in 5 min, mostly address_bad",
        )
        await campaigns.resume(db, campaign)
        await braking.look(NOW + 3 * ASK_SECONDS)
        await accept(db, campaign, 1, 101, 150, NOW + 3 * ASK_SECONDS + 1)
        await braking.look(NOW + 4 * ASK_SECONDS)
        assert (await state_of(db, campaign))[0] == "running", "resumed: it begins anew"

    with_store(work)


def test_bounces_leave_the_window(with_store: RunWork) -> None:
    async def work(db: Database) -> None:
        campaign = await create(db, [300])
        await spread(db, campaign, 10)
        await shards.take(db, campaign, 0, "one")
        await shards.claim(db, campaign, 0, 1, 300)
        braking = Braking(db, Brakes(LIMITS), lambda: {campaign}, lambda: NOW)
        await braking.look(NOW)
        await accept(db, campaign, 1, 1, 100, NOW + 1)
        for after in range(1, 40):
            await braking.look(NOW + after * ASK_SECONDS)
        await tell(db, Event.BOUNCED, campaign, range(1, 60), NOW + 391)
        await accept(db, campaign, 1, 101, 200, NOW + 391)
        await braking.look(NOW + 40 * ASK_SECONDS)
        assert (await state_of(db, campaign))[0] == "running", "what was accepted long before"
        await tell(db, Event.BOUNCED, campaign, range(101, 160), NOW + 402)
        await braking.look(NOW + 41 * ASK_SECONDS)
        assert (await state_of(db, campaign))[0] == "paused"

    with_store(work)


def test_complaints_pause_a_campaign(with_store: RunWork) -> None:
    async def work(db: Database) -> None:
        campaign = await create(db, [300])
        await spread(db, campaign, 10)
        await shards.take(db, campaign, 0, "one")
        await shards.claim(db, campaign, 0, 1, 300)
        await accept(db, campaign, 1, 1, 50, NOW - 10)
        braking = Braking(db, Brakes(LIMITS), lambda: {campaign}, lambda: NOW)
        await braking.look(NOW)  # takes it up: what was accepted before does not count
        await complain(db, campaign, 1, 30)
        await accept(db, campaign, 1, 51, 150, NOW + 1)
        await braking.look(NOW + ASK_SECONDS)
        assert (await state_of(db, campaign))[0] == "running"
        await complain(db, campaign, 51, 60)
        await braking.look(NOW + 2 * ASK_SECONDS)
        assert (await state_of(db, campaign))[0] == "running", "just the threshold"
        await complain(db, campaign, 61, 61)
        await braking.look(NOW + 2 * ASK_SECONDS + 1)
        assert (await state_of(db, campaign))[0] == "running", "not asked yet"
        await braking.look(NOW + 3 * ASK_SECONDS)
        assert await state_of(db, campaign) == (
            "paused",
            "paused by brakes: 11 % of 100 accepted messages complained about",
        )
        await campaigns.resume(db, campaign)
        await braking.look(NOW + 4 * ASK_SECONDS)
        await accept(db, campaign, 1, 151, 180, NOW + 4 * ASK_SECONDS + 1)
        await braking.look(NOW + 5 * ASK_SECONDS)
        assert (await state_of(db, campaign))[0] == "running", "resumed: it begins anew"

    with_store(work)
