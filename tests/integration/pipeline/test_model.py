"""The simulation's model of MySQL and the real one, side by side: the same calls, the same answers,
the same rows. What `tests.simulation` proves of the one then holds for the other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from campaignd.model import Fact, Outcome, Retry
from campaignd.store import ledger, shards
from campaignd.store.db import Database
from campaignd.store.ledger import Batch
from tests.integration.pipeline.conftest import connected
from tests.integration.pipeline.small import (
    NOW,
    campaign_state,
    create,
    due_at,
    facts,
    retry_rows,
    shard_row,
)
from tests.simulation.store import Shard, Store

SIZE = 6
HOST = "host"

numbers = st.integers(0, 63)
steps = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "take", "take", "claim", "claim", "record", "record", "record", "record_exactly",
                "record_exactly", "claim_retries", "claim_retries", "release", "resolve",
                "finish_campaign", "pause", "look",
            ]
        ),
        numbers, numbers, numbers,
    ),
    min_size=20,
    max_size=45,
)  # fmt: skip


@given(steps)
@settings(
    max_examples=80,
    deadline=None,
    # Shrinking would take minutes against a server.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
def test_the_model_is_equal_to_mysql(
    pipeline_url: str, sequence: list[tuple[str, int, int, int]]
) -> None:
    async def main() -> None:
        async with connected(pipeline_url) as db:
            campaign = await create(db, [SIZE])
            pair = Pair(db, campaign)
            await pair.do("take", 1, 1, 1)
            await pair.do("claim", 1, 3, 1)
            for step in sequence:
                await pair.do(*step)

    asyncio.run(main())


class Pair:
    """Two stores that get the same calls. Time goes on by a second with each."""

    def __init__(self, db: Database, campaign: int) -> None:
        self._db = db
        self._campaign = campaign
        self._now = NOW
        self._store = Store()
        self._store.add(campaign, [SIZE], now=NOW, spec=b"{}")

    @property
    def _shard(self) -> Shard:
        return self._store.shards[self._campaign, 0]

    async def do(self, what: str, a: int, b: int, c: int) -> None:
        """Interprets a step; the numbers choose among what makes sense at this point."""
        self._now += 1
        campaign, shard = self._campaign, self._shard
        # Mostly the present epoch, now and then an older one.
        epoch = shard.epoch if a % 4 else max(0, shard.epoch - 1)
        if what == "take":
            await self._both(shards.take, campaign, 0, f"{HOST}{a}")
        elif what == "claim":
            upto = min(SIZE, shard.claimed + b % 4) if b % 5 else b % SIZE
            await self._both(shards.claim, campaign, 0, epoch, upto)
        elif what == "record":
            new = self._facts_of_a_holder(b, c) if epoch == shard.epoch else [_fact(1, 1, b, c)]
            done = _contiguous(shard, new) if epoch == shard.epoch else 0
            await self._both(ledger.record, HOST, [Batch(campaign, 0, epoch, done, new)])
        elif what == "record_exactly":
            new = [_fact(1 + b % SIZE, 1 + a % 3, c, a)]
            if c % 3 == 0:
                new.append(_fact(1 + b % SIZE, 2 + a % 3, a, b))
            if c % 5 == 0:
                new.append(_fact(1 + (b + 1) % SIZE, 1, a, c))
            done = _contiguous(shard, new)
            await self._both(ledger.record_exactly, HOST, Batch(campaign, 0, epoch, done, new))
        elif what == "claim_retries":
            await self._both(shards.claim_retries, campaign, 0, epoch, self._now + b % 8, 1 + c % 3)
        elif what == "release":
            done = _contiguous(shard, [])
            await self._both(
                shards.release, campaign, 0, epoch, done=done, now=self._now, idle=b % 2 == 0
            )
        elif what == "resolve":
            await self._both(
                ledger.resolve, HOST, campaign, 0, epoch,
                done=shard.done, upto=shard.ambiguous, resend=c % 2 == 0, now=self._now,
            )  # fmt: skip
        elif what == "finish_campaign":
            await self._both(shards.finish_campaign, campaign, self._now)
        elif what == "pause":
            await self._switch()
        else:
            await self._look()
        await self._compare()

    def _facts_of_a_holder(self, b: int, c: int) -> list[Fact]:
        """What the duties of `ledger.record` allow: first attempts that are claimed and have no
        fact, and claimed retries that are not marked."""
        shard = self._shard
        fresh = [seq for seq in range(1, shard.claimed + 1) if seq not in shard.ledger]
        again = [
            (seq, retry.attempt)
            for seq, retry in sorted(shard.retries.items())
            if retry.claimed_epoch == shard.epoch and not retry.marked
        ]
        new = [_fact(seq, 1, b + seq, c) for seq in fresh[: 1 + b % 3]]
        return new + [_fact(seq, attempt, c, b) for seq, attempt in again[: c % 3]]

    async def _switch(self) -> None:
        row = self._store.campaigns[self._campaign]
        target = {"running": "paused", "paused": "running"}.get(row.state)
        if target is None:
            return
        row.state = target
        async with self._db.statement() as tx:
            await tx.execute(
                "UPDATE campaigns SET state = %s WHERE id = %s", (target, self._campaign)
            )

    async def _look(self) -> None:
        one, now = [self._campaign], self._now
        await self._both(shards.states, one)
        await self._both(shards.open_shards, one, now, 5)
        assert (self._campaign in await shards.complete_campaigns(self._db)) == (
            self._campaign in self._store.complete_campaigns()
        )
        found = await shards.open_campaigns(self._db, now, after=self._campaign - 1, limit=1)
        assert found == self._store.open_campaigns(now, after=self._campaign - 1, limit=1)

    async def _both(self, real: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        model = getattr(self._store, real.__name__)
        assert await real(self._db, *args, **kwargs) == model(*args, **kwargs)

    async def _compare(self) -> None:
        """Every column and row that the model has."""
        model = self._shard
        row = await shard_row(self._db, self._campaign)
        assert row._asdict() == {
            "epoch": model.epoch,
            "owner": model.owner,
            "clean": model.clean,
            "finished": model.finished,
            "claimed": model.claimed,
            "done": model.done,
            "ambiguous": model.ambiguous,
            **{outcome.label: model.counts[outcome] for outcome in Outcome},
            "maybe_duplicates": model.marked,
        }
        assert await due_at(self._db, self._campaign) == model.due_at
        assert await facts(self._db, self._campaign) == {
            (seq, attempt): entry.outcome
            for seq, attempts in model.ledger.items()
            for attempt, entry in attempts.items()
        }
        assert await retry_rows(self._db, self._campaign) == {
            seq: (retry.attempt, retry.marked, retry.claimed_epoch, retry.due_at)
            for seq, retry in model.retries.items()
        }
        state = self._store.campaigns[self._campaign].state
        assert await campaign_state(self._db, self._campaign) == state
        assert (model.counts, model.marked) == model.recount(), "R1"


def _fact(seq: int, attempt: int, choice: int, due: int) -> Fact:
    outcome = list(Outcome)[choice % 6]
    retry = None
    if outcome is Outcome.DEFERRED or (outcome is Outcome.UNKNOWN and due % 2):
        retry = Retry(NOW + due % 8, outcome is Outcome.UNKNOWN or choice % 4 == 0)
    marked = attempt > 1 and choice % 3 == 0
    return Fact(seq, attempt, outcome, marked, 250, "2.0.0", "text", "relay", NOW + due, retry)


def _contiguous(shard: Shard, new: list[Fact]) -> int:
    known = set(shard.ledger) | {fact.seq for fact in new}
    return next((seq - 1 for seq in range(1, SIZE + 1) if seq not in known), SIZE)
