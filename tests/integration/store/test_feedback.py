"""Events beside the ledger, with their suppressions, on a real server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from campaignd.feedback import Event, Feedback, Taken, take
from campaignd.model import Outcome
from campaignd.store import campaigns, feedback, outcomes, suppressions
from campaignd.store.db import Database
from campaignd.store.feedback import NO_EVENTS, EventCounts, Happened
from campaignd.tokens import RecipientId
from tests.integration.pipeline import small

Work = Callable[[Database], Coroutine[Any, Any, None]]
Run = Callable[[Work], None]

NOW = small.NOW


def address(recipient: RecipientId) -> str:
    return f"r{recipient.shard}-{recipient.seq}@example.org"


def told(event: Event, recipient: RecipientId, **more: Any) -> Feedback:
    return Feedback(event, recipient, NOW - 60, "test", **more)


async def rows(db: Database, recipient: RecipientId) -> list[Happened]:
    async with db.statement() as tx:
        found = await feedback.window(
            tx, recipient.campaign, recipient.shard, recipient.seq - 1, recipient.seq
        )
    return found.get(recipient.seq, [])


@pytest.mark.parametrize("event", Event)
def test_each_is_recorded_and_suppresses(with_store: Run, event: Event) -> None:
    async def work(db: Database) -> None:
        campaign = await small.create(db, [3, 2])
        recipient = RecipientId(campaign, 1, 2)
        notice = told(event, recipient, enhanced="5.1.1", detail="so it was")
        assert await take(db, notice, NOW) is Taken.RECORDED
        assert await take(db, notice, NOW + 1) is Taken.REPEATED
        assert await rows(db, recipient) == [
            Happened(event, NOW - 60, "test", "5.1.1", "so it was")
        ]
        assert await suppressions.reason_for(db, "acme", address(recipient)) == event.value
        assert await suppressions.reason_for(db, "other", address(recipient)) is None
        beside = recipient._replace(seq=1)
        assert await rows(db, beside) == []
        assert await suppressions.reason_for(db, "acme", address(beside)) is None

    with_store(work)


def test_the_outcome_and_the_counts_stay(with_store: Run) -> None:
    async def work(db: Database) -> None:
        campaign = await small.create(db, [1])
        before = (await campaigns.counts(db, [campaign]))[campaign]
        await take(db, told(Event.BOUNCED, RecipientId(campaign, 0, 1)), NOW)
        assert (await campaigns.counts(db, [campaign]))[campaign] == before

    with_store(work)


def test_a_passing_bounce_does_not_suppress_and_gives_way_to_a_lasting_one(
    with_store: Run,
) -> None:
    async def work(db: Database) -> None:
        recipient = RecipientId(await small.create(db, [1]), 0, 1)
        full = told(Event.BOUNCED, recipient, enhanced="5.2.2", permanent=False)
        gone = told(Event.BOUNCED, recipient, enhanced="5.1.1")
        assert await take(db, full, NOW) is Taken.RECORDED
        assert await suppressions.reason_for(db, "acme", address(recipient)) is None
        assert await take(db, full, NOW) is Taken.REPEATED
        assert await take(db, gone, NOW + 5) is Taken.RECORDED
        assert await suppressions.reason_for(db, "acme", address(recipient)) == "bounced"
        assert await take(db, full, NOW) is Taken.REPEATED
        assert [one.enhanced for one in await rows(db, recipient)] == ["5.1.1"]

    with_store(work)


def test_who_leaves_again_is_suppressed_again(with_store: Run) -> None:
    async def work(db: Database) -> None:
        recipient = RecipientId(await small.create(db, [1]), 0, 1)
        notice = told(Event.UNSUBSCRIBED, recipient)
        await take(db, notice, NOW)
        assert await suppressions.lift(db, "acme", address(recipient))
        assert await take(db, notice, NOW + 5) is Taken.REPEATED
        assert await suppressions.reason_for(db, "acme", address(recipient)) == "unsubscribed"

    with_store(work)


def test_nobody_and_nothing(with_store: Run) -> None:
    async def work(db: Database) -> None:
        campaign = await small.create(db, [1])
        for recipient, answer in (
            (RecipientId(campaign, 0, 2), Taken.NO_RECIPIENT),
            (RecipientId(campaign, 9, 1), Taken.NO_RECIPIENT),
            (RecipientId(2**48 - 1, 2**32 - 1, 65_535), Taken.NO_CAMPAIGN),
        ):
            assert await take(db, told(Event.COMPLAINED, recipient), NOW) is answer
        assert await feedback.counts(db, [campaign]) == {}

    with_store(work)


def test_values_are_cut_to_fit(with_store: Run) -> None:
    async def work(db: Database) -> None:
        recipient = RecipientId(await small.create(db, [1]), 0, 1)
        for at in (-5.0, NOW + 9e9):
            notice = Feedback(Event.BOUNCED, recipient, at, "s" * 99, "5" * 99, "🌷" * 999)
            await take(db, notice, NOW)
        [one] = await rows(db, recipient)
        assert (len(one.source), len(one.enhanced), len(one.detail), one.at) == (64, 12, 500, 1.0)

    with_store(work)


def test_many_at_once_are_each_recorded_once(with_store: Run) -> None:
    async def work(db: Database) -> None:
        campaign = await small.create(db, [20])
        notices = [
            told(event, RecipientId(campaign, 0, seq))
            for seq in range(1, 21)
            for event in Event
            for _ in range(2)
        ]
        answers = await asyncio.gather(*(take(db, notice, NOW) for notice in notices))
        assert answers.count(Taken.RECORDED) == 60
        assert await feedback.counts(db, [campaign, 99]) == {campaign: EventCounts(20, 20, 20)}

    with_store(work)


def test_outcomes_show_events_once_on_the_last_line_of_their_recipient(with_store: Run) -> None:
    async def work(db: Database) -> None:
        campaign = await small.create(db, [4])
        async with db.statement() as tx:
            for seq, attempt, outcome in ((1, 1, 2), (2, 1, 1), (2, 2, 2), (3, 1, 2)):
                await tx.execute(
                    "INSERT INTO ledger VALUES"
                    " (%s, 0, %s, %s, %s, 0, 250, '', NOW(3), 'h', 'r', '')",
                    (campaign, seq, attempt, outcome),
                )
        for event, seq in ((Event.COMPLAINED, 2), (Event.BOUNCED, 2), (Event.BOUNCED, 4)):
            await take(db, told(event, RecipientId(campaign, 0, seq)), NOW)
        lines = [line async for part in outcomes.attempts(db, campaign) for line in part]
        assert [
            (line.seq, line.attempt, [happened.event for happened in line.events]) for line in lines
        ] == [(1, 1, []), (2, 1, []), (2, 2, [Event.BOUNCED, Event.COMPLAINED]), (3, 1, [])]
        [deferred] = [
            line
            async for part in outcomes.attempts(db, campaign, Outcome.DEFERRED)
            for line in part
        ]
        assert [happened.event for happened in deferred.events] == [
            Event.BOUNCED,
            Event.COMPLAINED,
        ]

    with_store(work)


def test_counts_of_nothing(with_store: Run) -> None:
    async def work(db: Database) -> None:
        assert await feedback.counts(db, []) == {}
        assert EventCounts(0, 0, 0) == NO_EVENTS

    with_store(work)
