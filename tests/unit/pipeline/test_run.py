"""A shard run over the simulation's model of MySQL, with a lane that keeps what it is given.

What it does under faults is the subject of `tests/simulation`.
"""

from __future__ import annotations

import asyncio
import gc
import time
import weakref
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from campaignd.channels.base import Channel
from campaignd.errors import RowError, StoreOutage
from campaignd.model import (
    Fact,
    Job,
    Outcome,
    Retry,
    RetryPolicy,
    SendRight,
    UnknownPolicy,
    Verdict,
)
from campaignd.pipeline import issue, queue, record, run
from campaignd.pipeline.campaign import RunningCampaign
from campaignd.pipeline.limit import HostLimit
from campaignd.pipeline.queue import JobQueue
from campaignd.pipeline.record import Recorder
from campaignd.pipeline.run import ShardRun, Stages
from campaignd.pipeline.signing import Signing
from campaignd.pipeline.turns import Turns
from campaignd.store.db import Database
from campaignd.store.ledger import Batch
from tests.simulation.store import Shard, Store

TTL = 60.0


class Api:
    """Stands for the store's modules; `failures` by operation are raised before it is done."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.failures: dict[str, list[Exception]] = {}
        self.calls: list[str] = []
        self.read_seconds = 0.0

    def __getattr__(self, name: str) -> Any:
        async def operation(db: object, *args: Any, **kwargs: Any) -> Any:
            await asyncio.sleep(self.read_seconds if name in ("window", "picked") else 0)
            self.calls.append(name)
            if self.failures.get(name):
                raise self.failures[name].pop(0)
            return getattr(self.store, name)(*args, **kwargs)

        return operation


class Compiled:
    policy = UnknownPolicy.RESEND
    retry = RetryPolicy(first=1.0)

    def job(
        self,
        owner: object,
        right: SendRight,
        shard: int,
        seq: int,
        attempt: int,
        maybe_duplicate: bool,
        address: str,
        values: Sequence[Any],
    ) -> Job:
        if address == "2@0":
            raise RowError("field name is missing")
        return Job(owner, right, seq, attempt, maybe_duplicate, b"", address.encode(), b"text")


class KeepingLane:
    """Takes jobs from the queue when told, and says nothing about them by itself."""

    def wake(self) -> None:
        pass


@dataclass
class Bench:
    """One shard run and what surrounds it."""

    api: Api
    queue: JobQueue
    turns: Turns
    recorder: Recorder
    run: ShardRun
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    @property
    def shard(self) -> Shard:
        return self.api.store.shards[1, 0]

    async def until(self, holds: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while not holds():  # noqa: ASYNC110
                await asyncio.sleep(0.001)

    def take_jobs(self) -> list[Job]:
        jobs = []
        while (job := self.queue.get()) is not None:
            jobs.append(job)
        return jobs

    def accept(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            self.recorder.report(job, Verdict(Outcome.ACCEPTED, 250, "", "", "relay"))

    async def ended(self) -> None:
        async with asyncio.timeout(10):
            await self.tasks[0]


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Api:
    store = Store()
    api = Api(store)
    monkeypatch.setattr(run, "shards", api)
    monkeypatch.setattr(run, "ledger", api)
    monkeypatch.setattr(issue, "ledger", api)
    monkeypatch.setattr(record, "ledger", api)
    monkeypatch.setattr(run, "OUTAGE_PAUSE", (0.001, 0.002))
    return api


def working(
    api: Api,
    size: int,
    work: Callable[[Bench], Coroutine[Any, Any, None]],
    *,
    rate: float | None = None,
) -> Bench:
    """Runs a shard of `size` recipients while `work` plays the lane."""

    async def main() -> Bench:
        if (1, 0) not in api.store.shards:
            api.store.add(1, [size], now=0.0, spec=b"")
        taken = api.store.take(1, 0, "host")
        assert taken is not None
        recorder = Recorder(cast(Database, None), "host")
        queue, turns = JobQueue(), Turns(100)
        stages = Stages(
            cast(Database, None),
            cast(Channel, KeepingLane()),
            queue,
            Signing(queue, lambda: None),
            recorder,
            turns,
            HostLimit(rate),
            "host",
            TTL,
            time.time,
        )
        now = time.monotonic()
        campaign = RunningCampaign(1, "acme", time.time(), Compiled())
        shard_run = ShardRun(stages, campaign, 0, SendRight(now + TTL), taken, taken_at=now)
        bench = Bench(api, queue, turns, recorder, shard_run)
        writing = asyncio.create_task(recorder.run())
        bench.tasks.append(asyncio.create_task(shard_run.run()))
        try:
            await work(bench)
            await bench.ended()
        finally:
            for task in (writing, *bench.tasks):
                task.cancel()
            await asyncio.gather(writing, *bench.tasks, return_exceptions=True)
        return bench

    return asyncio.run(main())


def test_a_shard_from_its_first_claim_to_its_end(api: Api) -> None:
    async def work(bench: Bench) -> None:
        await bench.until(lambda: len(bench.queue) == 2)
        assert bench.shard.claimed == 3, "claimed before anything is in the queue (R2)"
        bench.accept(bench.take_jobs())

    bench = working(api, 3, work)
    assert bench.shard.finished
    assert bench.shard.counts[Outcome.ACCEPTED] == 2
    assert bench.shard.counts[Outcome.REJECTED] == 1, "the row that cannot be composed"
    assert bench.turns.used == 0


def test_a_run_that_ended_is_freed_without_the_collector(api: Api) -> None:
    async def work(bench: Bench) -> None:
        await bench.until(lambda: len(bench.queue) == 2)
        bench.accept(bench.take_jobs())

    bench = working(api, 3, work)
    ended = weakref.ref(bench.run)
    gc.disable()
    try:
        del bench
        assert ended() is None
    finally:
        gc.enable()


def test_suppressed_recipients_are_not_composed(api: Api) -> None:
    api.store.suppressed.add((1, 0, 1))

    async def work(bench: Bench) -> None:
        pass

    bench = working(api, 1, work)
    assert bench.shard.counts[Outcome.SUPPRESSED] == 1


def test_jobs_that_wait_are_looked_at_again(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "FRESH_SECONDS", 0.05)

    async def work(bench: Bench) -> None:
        await bench.until(lambda: len(bench.queue) == 4)
        api.store.suppressed |= {(1, 0, 1), (1, 0, 4)}
        api.failures["picked"] = [StoreOutage("away")]
        await asyncio.sleep(0.06)
        assert bench.queue.get() is None, "all of them have waited too long"
        monkeypatch.setattr(queue, "FRESH_SECONDS", 60.0)
        await bench.until(lambda: len(bench.queue) == 2)
        jobs = bench.take_jobs()
        assert [job.seq for job in jobs] == [3, 5], "in their order"
        bench.accept(jobs)

    bench = working(api, 5, work)
    assert bench.shard.finished
    assert bench.shard.counts[Outcome.SUPPRESSED] == 2
    assert bench.shard.counts[Outcome.ACCEPTED] == 2
    assert bench.turns.used == 0


def test_a_stop_takes_back_what_is_being_looked_at(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "FRESH_SECONDS", 0.05)

    async def work(bench: Bench) -> None:
        await bench.until(lambda: len(bench.queue) == 3)
        await asyncio.sleep(0.06)
        api.failures["picked"] = [StoreOutage("away")] * 1_000
        assert bench.queue.get() is None
        await bench.until(lambda: "picked" in api.calls)
        bench.run.stop("draining")

    bench = working(api, 4, work)
    assert bench.shard.clean
    assert not bench.shard.finished
    assert bench.turns.used == 0


def test_a_clean_stop_does_not_wait_for_the_limit(api: Api) -> None:
    async def work(bench: Bench) -> None:
        await bench.until(lambda: len(bench.queue) == 1)
        bench.run.stop("test")

    bench = working(api, 4, work, rate=0.01)
    assert bench.shard.clean
    assert not bench.shard.finished
    assert bench.turns.used == 0


def test_a_window_that_a_limit_holds_up_is_read_anew(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(issue, "REREAD_SECONDS", 0.05)

    async def work(bench: Bench) -> None:
        await bench.until(lambda: len(bench.queue) >= 1)
        api.store.suppressed.add((1, 0, 5))
        await bench.until(lambda: bench.shard.counts[Outcome.SUPPRESSED])
        bench.accept(bench.take_jobs())

    bench = working(api, 5, work, rate=4.0)
    assert bench.shard.finished
    assert bench.shard.counts[Outcome.ACCEPTED] == 3


@pytest.mark.parametrize("rate", [None, 100.0])
def test_reads_that_take_longer_than_jobs_may_wait_make_it_slow_and_not_stuck(
    api: Api, monkeypatch: pytest.MonkeyPatch, rate: float | None
) -> None:
    monkeypatch.setattr(queue, "FRESH_SECONDS", 0.1)
    monkeypatch.setattr(issue, "REREAD_SECONDS", 0.05)
    api.read_seconds = 0.2

    async def work(bench: Bench) -> None:
        async with asyncio.timeout(20):
            while not bench.shard.finished:
                bench.accept(bench.take_jobs())
                await asyncio.sleep(0.005)

    assert working(api, 9, work, rate=rate).shard.counts[Outcome.ACCEPTED] == 8


def test_retries_claimed_in_the_order_of_their_time_are_all_read(api: Api) -> None:
    """In that order the first and the last of them say nothing about what lies between."""
    store = api.store
    store.add(1, [8], now=0.0, spec=b"")
    taken = store.take(1, 0, "earlier")
    assert taken is not None
    store.claim(1, 0, taken.epoch, 8)
    shard = store.shards[1, 0]
    for seq in range(1, 9):
        due = {5: 1.0, 8: 2.0, 7: 3.0}.get(seq)
        fact = _fact(seq, due)
        store.record("earlier", [Batch(1, 0, taken.epoch, seq, [fact])])
    store.release(1, 0, taken.epoch, done=8, now=0.0, idle=True)

    async def work(bench: Bench) -> None:
        await bench.until(lambda: len(bench.queue) == 3)
        jobs = bench.take_jobs()
        assert [(job.seq, job.attempt) for job in jobs] == [(5, 2), (8, 2), (7, 2)]
        assert all(retry.claimed_epoch == bench.run.epoch for retry in shard.retries.values()), "R6"
        bench.accept(jobs)

    assert working(api, 8, work).shard.finished


def test_a_fenced_claim_sends_nothing(api: Api) -> None:
    async def work(bench: Bench) -> None:
        api.store.take(1, 0, "other")

    bench = working(api, 3, work)
    assert bench.run.stopped
    assert bench.shard.claimed == 0
    assert bench.turns.used == 0
    assert "release" not in api.calls


def test_a_fence_while_jobs_wait_takes_them_back(api: Api) -> None:
    async def work(bench: Bench) -> None:
        await bench.until(lambda: len(bench.queue) == 3)
        first = bench.queue.get()
        assert first is not None
        api.store.take(1, 0, "other")
        bench.accept([first])
        await bench.until(lambda: bench.run.stopped)
        assert len(bench.queue) == 0
        assert bench.run.right.deadline <= time.monotonic(), "no final dot any more"

    bench = working(api, 4, work)
    assert bench.shard.ledger[1][1].outcome is Outcome.ACCEPTED, "facts are not fenced (R4)"
    assert bench.shard.done == 0
    assert bench.turns.used == 0


def test_a_clean_stop_waits_for_what_is_in_flight(api: Api) -> None:
    async def work(bench: Bench) -> None:
        await bench.until(lambda: len(bench.queue) == 3)
        first = bench.queue.get()
        assert first is not None
        bench.run.stop("draining")
        await asyncio.sleep(0.01)
        assert "release" not in api.calls
        bench.accept([first])

    bench = working(api, 4, work)
    assert (bench.shard.clean, bench.shard.finished) == (True, False)
    assert set(bench.shard.ledger) == {1, 2}
    assert bench.turns.used == 0


def test_outages_of_mysql_are_waited_out(api: Api) -> None:
    for name in ("claim", "window", "record", "release"):
        api.failures[name] = [StoreOutage("away"), StoreOutage("away", ambiguous=True)]

    async def work(bench: Bench) -> None:
        await bench.until(lambda: len(bench.queue) == 2)
        bench.accept(bench.take_jobs())

    bench = working(api, 3, work)
    assert bench.shard.finished
    assert bench.turns.used == 0


def test_a_lease_that_has_ended_is_not_renewed(api: Api) -> None:
    async def work(bench: Bench) -> None:
        await bench.until(lambda: len(bench.queue) == 3)
        job = bench.queue.get()
        assert job is not None
        bench.run.right_ended()
        bench.run.renewed(time.monotonic() + TTL)
        assert job.right.deadline <= time.monotonic()
        bench.queue.put_back(job)

    bench = working(api, 4, work)
    assert bench.shard.clean
    assert bench.turns.used == 0


def test_a_stop_within_some_seconds_is_not_prolonged_by_a_renewal(api: Api) -> None:
    async def work(bench: Bench) -> None:
        await bench.until(lambda: len(bench.queue) == 3)
        bench.run.stop("paused", within=0.4)
        bench.run.renewed(time.monotonic() + TTL)
        assert bench.run.right.deadline <= time.monotonic() + 0.4

    working(api, 4, work)


def test_a_renewal_moves_the_deadline(api: Api) -> None:
    async def work(bench: Bench) -> None:
        await bench.until(lambda: len(bench.queue) == 3)
        bench.run.renewed(1e9)
        job = bench.queue.get()
        assert job is not None
        assert job.right.deadline == 1e9
        bench.queue.put_back(job)
        bench.run.stop("draining")

    working(api, 4, work)


def _fact(seq: int, due: float | None) -> Fact:
    retry = None if due is None else Retry(due, False)
    outcome = Outcome.ACCEPTED if retry is None else Outcome.DEFERRED
    return Fact(seq, 1, outcome, False, 0, "", "", "", 0.0, retry)
