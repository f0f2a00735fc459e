"""Results into the ledger: collected for some milliseconds, committed together.

Holds what it has while MySQL is away. It needs no bound of its own: a recipient keeps its part of
a turn until its fact is committed, so the pipeline stops when nothing is recorded any more.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from campaignd import events, metrics
from campaignd.errors import StoreOutage, UsageError
from campaignd.model import Fact, Job, Outcome, Verdict
from campaignd.pipeline.brakes import Brakes
from campaignd.smtp.bounces import SOFT, Bounce, classify
from campaignd.store import bounces, ledger
from campaignd.store.bounces import Failure, RunLimits
from campaignd.store.db import Database
from campaignd.store.ledger import Batch

COLLECT_SECONDS: Final = 0.02
"""How long results are collected before a transaction. R4 allows 100 ms from the reply to the
commit; a commit takes 1 to 10 ms."""

RETRY_SECONDS: Final = (0.1, 3.0)
"""First and longest pause between two tries to write while MySQL is away."""


class Run(Protocol):
    """What the recorder needs of a shard run."""

    account: str
    campaign_id: int
    shard: int
    epoch: int

    def fact(self, job: Job, verdict: Verdict, at: float) -> Fact:
        """The fact that a verdict becomes, by the campaign's policies."""
        ...

    def advance(self, facts: Sequence[Fact]) -> int:
        """Takes facts into the contiguous mark; returns it."""
        ...

    def recorded(self, facts: Sequence[Fact]) -> None:
        """The facts are committed."""
        ...

    def fenced(self) -> None:
        """The shard belongs to another host."""
        ...


class Pending:
    """What is to be recorded of one shard."""

    __slots__ = ("classes", "facts", "failures")

    def __init__(self) -> None:
        self.facts: list[Fact] = []
        self.failures: list[Failure] = []
        self.classes: list[tuple[Bounce, str]] = []
        """Of each final refusal, with the relay that brought it."""


class Recorder:
    """`report` is the end of every lane; `run` writes until `close`. `brakes` see every result."""

    def __init__(
        self,
        db: Database,
        host: str,
        clock: Callable[[], float] = time.time,
        *,
        brakes: Brakes | None = None,
        limits: RunLimits = bounces.NO_RUNS,
    ) -> None:
        self._db = db
        self._host = host
        self._clock = clock
        self._brakes = brakes
        self._limits = limits
        self._results: list[tuple[Run, Job, Verdict, float]] = []
        self._pending: dict[Run, Pending] = {}
        self._unsure = False
        self._arrived = asyncio.Event()
        self._closing = False
        self.counts: dict[int, int] = {}
        """Facts recorded so far, by campaign; the daemon's heartbeat takes them away."""
        self.waiting_since: float | None = None
        """When the oldest result that could not be written arrived (epoch seconds)."""

    def report(self, job: Job, verdict: Verdict) -> None:
        """Takes a result. Cheap: called for every message."""
        run: Run = job.owner  # type: ignore[assignment]
        job.message = b""
        self._results.append((run, job, verdict, self._clock()))
        if not self._arrived.is_set():
            self._arrived.set()

    @property
    def backlog(self) -> int:
        """Results that are not committed yet."""
        return len(self._results) + sum(len(of_run.facts) for of_run in self._pending.values())

    def close(self) -> None:
        """Lets `run` end once everything reported so far is committed."""
        self._closing = True
        self._arrived.set()

    async def run(self) -> None:
        """Writes results until closed. Waits out any outage of MySQL."""
        pause = RETRY_SECONDS[0]
        while True:
            if not self._results and not self._pending:
                if self._closing:
                    return
                await self._arrived.wait()
                if not self._closing:
                    await asyncio.sleep(COLLECT_SECONDS)
            self._arrived.clear()
            self._collect()
            if not self._pending:
                continue
            try:
                await self._write()
            except (StoreOutage, UsageError) as outage:
                events.store_outage("record", outage, backlog=self.backlog)
                self._unsure = self._unsure or getattr(outage, "ambiguous", False)
                self.waiting_since = self.waiting_since or self._clock()
                await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311
                pause = min(pause * 2, RETRY_SECONDS[1])
            else:
                pause = RETRY_SECONDS[0]
                self.waiting_since = None

    def _collect(self) -> None:
        results, self._results = self._results, []
        pending, brakes = self._pending, self._brakes
        for run, job, verdict, at in results:
            of_run = pending.get(run)
            if of_run is None:
                of_run = pending[run] = Pending()
            fact = run.fact(job, verdict, at)
            of_run.facts.append(fact)
            bounce = None
            if verdict.code >= 400:
                bounce = self._refused(of_run, run, job, fact)
            if brakes is not None and verdict.code:
                brakes.saw(run.campaign_id, fact.relay, job.recipient, fact.outcome, bounce, at)

    def _refused(self, of_run: Pending, run: Run, job: Job, fact: Fact) -> Bounce:
        """The class of the refusal; notes what follows from it if it is final."""
        bounce = classify(fact.code, fact.enhanced, fact.text)
        outcome = fact.outcome
        if outcome is Outcome.REJECTED or outcome is Outcome.EXPIRED:
            of_run.classes.append((bounce, fact.relay))
            bad = bounce is Bounce.ADDRESS_BAD
            if bad or bounce in SOFT:
                address = job.recipient.decode()
                of_run.failures.append(Failure(run.account, run.campaign_id, address, fact.at, bad))
        return bounce

    async def _write(self) -> None:
        """One transaction for all that nobody else can have changed; one for each other shard."""
        plain: dict[Run, Batch] = {}
        exact: list[Run] = []
        for run, of_run in self._pending.items():
            if self._unsure or any(fact.maybe_duplicate for fact in of_run.facts):
                exact.append(run)
            else:
                plain[run] = self._batch(run, of_run)
        if plain:
            started = time.perf_counter()
            fenced = await ledger.record(self._db, self._host, list(plain.values()))
            metrics.record_seconds.observe(time.perf_counter() - started)
            lost = {(batch.campaign, batch.shard, batch.epoch) for batch in fenced}
            for run in plain:
                if (run.campaign_id, run.shard, run.epoch) in lost:
                    exact.append(run)
                else:
                    self._committed(run)
        for run in exact:
            held = await ledger.record_exactly(
                self._db, self._host, self._batch(run, self._pending[run])
            )
            self._committed(run)
            if not held:
                metrics.fenced_writes.inc()
                run.fenced()
        self._unsure = False

    def _batch(self, run: Run, of_run: Pending) -> Batch:
        facts = of_run.facts
        done = run.advance(facts)
        return Batch(
            run.campaign_id, run.shard, run.epoch, done, facts, of_run.failures, self._limits
        )

    def _committed(self, run: Run) -> None:
        of_run = self._pending.pop(run)
        facts = of_run.facts
        for bounce, relay in of_run.classes:
            metrics.bounces.labels(bounce.value, relay).inc()
        self.counts[run.campaign_id] = self.counts.get(run.campaign_id, 0) + len(facts)
        tally = [0] * 7
        for fact in facts:
            tally[fact.outcome] += 1
        for outcome in Outcome:
            if tally[outcome]:
                metrics.outcomes[outcome].inc(tally[outcome])
        run.recorded(facts)
