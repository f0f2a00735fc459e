"""One shard on this host, from its takeover to its release: carries out what `protocol` decides.

Waits out MySQL; ends when the protocol releases the shard, or when it is fenced.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from campaignd import events, metrics
from campaignd.channels.base import Channel
from campaignd.errors import StoreOutage, UsageError
from campaignd.model import (
    Attempt,
    Fact,
    Job,
    SendRight,
    Taken,
    UnknownPolicy,
    Verdict,
)
from campaignd.pipeline.campaign import RunningCampaign
from campaignd.pipeline.issue import Issuer
from campaignd.pipeline.limit import HostLimit
from campaignd.pipeline.protocol import (
    Holder,
    Release,
    Resolve,
    Resume,
    Retries,
    Wait,
    Window,
    settle,
)
from campaignd.pipeline.queue import JobQueue
from campaignd.pipeline.record import Recorder
from campaignd.pipeline.signing import Signing
from campaignd.pipeline.turns import Turns
from campaignd.store import ledger, shards
from campaignd.store.db import Database

OUTAGE_PAUSE: Final = (0.2, 3.0)
"""First and longest pause between tries while MySQL is away, in seconds."""


@dataclass(slots=True, frozen=True)
class Stages:
    """What all shard runs of a host share."""

    db: Database
    channel: Channel
    queue: JobQueue
    signing: Signing
    recorder: Recorder
    turns: Turns
    limit: HostLimit
    host: str
    ttl: float
    """Of leases, in seconds."""
    wall: Callable[[], float]
    """The wall clock that all hosts go by: seconds since the epoch."""


class ShardRun:
    """`right` is the lease's; `stop` begins a clean stop (R7)."""

    def __init__(
        self,
        stages: Stages,
        campaign: RunningCampaign,
        shard: int,
        right: SendRight,
        taken: Taken,
        *,
        taken_at: float,
    ) -> None:
        """`taken_at`: monotonic time at which the takeover was committed, or later."""
        self.campaign = campaign
        self.account = campaign.account
        self.campaign_id = campaign.id
        self.shard = shard
        self.right = right
        self.epoch = taken.epoch
        self.started = taken_at
        self.stopped = False
        self.forfeited = False
        """Whether the shard is another host's, so that its lease must not be renewed."""
        self._sealed = False
        self._stages = stages
        self._holder = Holder(taken, resolve_at=taken_at + stages.ttl)
        self._changed = asyncio.Event()
        self._pause = OUTAGE_PAUSE[0]
        self._issuer = Issuer(stages)

    def __repr__(self) -> str:
        holder = self._holder
        return (
            f"<ShardRun {self.campaign_id}/{self.shard} epoch {self.epoch}"
            f" claimed {holder.claimed} done {holder.done} of {holder.size}"
            f" in flight {holder.in_flight}>"
        )

    @property
    def unresolved(self) -> bool:
        """Whether a predecessor's ambiguous recipients wait for their resolution."""
        return self._holder.unresolved

    async def run(self) -> None:
        """Works on the shard until it is released or fenced."""
        async with asyncio.TaskGroup() as tasks:
            looking = tasks.create_task(self._issuer.look_again(self))
            await self._work()
            looking.cancel()

    async def _work(self) -> None:
        while True:
            self._changed.clear()
            step = self._holder.next_step(time.monotonic(), self._stages.wall())
            try:
                if isinstance(step, Wait):
                    await self._wait(step.seconds)
                elif isinstance(step, Release):
                    await self._release()
                    return
                elif isinstance(step, Resolve):
                    await self._resolve()
                else:
                    await self._start(step)
            except (StoreOutage, UsageError) as outage:
                events.store_outage("shard", outage)
                await self.pause_for_outage()
            else:
                self._pause = OUTAGE_PAUSE[0]

    def stop(self, reason: str, *, within: float | None = None) -> None:
        """Starts nothing more; what is queued goes back unattempted, what is in flight ends.

        With `within`, no final dot is written any more after so many seconds.
        """
        if within is not None:
            self._sealed = True
            self.right.deadline = min(self.right.deadline, time.monotonic() + within)
        if not self.stopped:
            self.stopped = True
            events.shard_stopping(self.campaign_id, self.shard, reason)
            self._holder.stop()
            self._stages.queue.drop(self)
            self._changed.set()

    def renewed(self, deadline: float) -> None:
        """The lease is renewed until `deadline` (monotonic seconds)."""
        if not self._sealed:
            self.right.deadline = deadline

    def lease_lost(self) -> None:
        """Another host has the lease."""
        self.forfeited = True
        self.stop("lease lost", within=0.0)

    # What the recorder calls.

    def fact(self, job: Job, verdict: Verdict, at: float) -> Fact:
        """See record.Run."""
        compiled = self.campaign.compiled
        return settle(
            job.seq,
            job.attempt,
            job.maybe_duplicate,
            verdict,
            at=at,
            policy=compiled.policy,
            retry=compiled.retry,
            started_at=self.campaign.started_at,
            jitter=random.random(),  # noqa: S311
        )

    def advance(self, facts: Sequence[Fact]) -> int:
        """See record.Run."""
        return self._holder.advance(fact.seq for fact in facts if fact.attempt == 1)

    def recorded(self, facts: Sequence[Fact]) -> None:
        """See record.Run."""
        self._holder.recorded(facts)
        self._stages.turns.release(len(facts))
        self._changed.set()

    def fenced(self) -> None:
        """See record.Run."""
        if not self._holder.fenced:
            metrics.fenced_writes.inc()
            events.fenced(self.campaign_id, self.shard, self.epoch)
            self._holder.fence()
            self.forfeited = True
            self.stop("fenced", within=0.0)

    # What the queue calls.

    def give_back(self, job: Job) -> None:
        """See queue.Owner."""
        self.unattempted(1)

    def right_ended(self) -> None:
        """See queue.Owner."""
        self.stop("lease ended", within=0.0)

    def outdated(self, job: Job) -> None:
        """See queue.Owner."""
        self._issuer.outdated(job)

    # What the issuer calls.

    def unattempted(self, count: int) -> None:
        """So many of what was issued were not attempted."""
        self._holder.returned(count)
        self._stages.turns.release(count)
        self._changed.set()

    async def pause_for_outage(self) -> None:
        """Waits before the next try, longer each time."""
        await asyncio.sleep(self._pause * random.uniform(0.5, 1.5))  # noqa: S311
        self._pause = min(self._pause * 2, OUTAGE_PAUSE[1])

    # Steps.

    async def _start(self, step: Retries | Resume | Window) -> None:
        turns = self._stages.turns
        granted = await turns.take(self.campaign.account, self.campaign_id, step.limit)
        claimed: list[Attempt] = []
        try:
            if not self.stopped:
                claimed = await self._claim(step, granted)
        finally:
            turns.release(granted - len(claimed))
        if claimed:
            self._holder.issued(len(claimed))
            metrics.claimed.inc(len(claimed))
            await self._issuer.issue(self, claimed)

    async def _claim(self, step: Retries | Resume | Window, granted: int) -> list[Attempt]:
        """Makes it durable that these attempts may happen (R2, R6). Empty when fenced."""
        db, holder = self._stages.db, self._holder
        if isinstance(step, Resume):
            # Claimed by a predecessor that stopped cleanly; the takeover made the claim ours.
            return [Attempt(seq, 1, False) for seq in holder.resumed(granted)]
        key = (self.campaign_id, self.shard, self.epoch)
        if isinstance(step, Window):
            upto = step.above + granted
            if not await shards.claim(db, *key, upto):
                self.fenced()
                return []
            holder.claimed_to(upto)
            return [Attempt(seq, 1, False) for seq in range(step.above + 1, upto + 1)]
        retries = await shards.claim_retries(db, *key, self._stages.wall(), granted)
        if retries is None:
            self.fenced()
            return []
        holder.retries_claimed(retries.next_due)
        return retries.attempts

    async def _resolve(self) -> None:
        holder = self._holder
        resolution = await ledger.resolve(
            self._stages.db,
            self._stages.host,
            self.campaign_id,
            self.shard,
            self.epoch,
            done=holder.done,
            upto=holder.ambiguous,
            resend=self.campaign.compiled.policy is UnknownPolicy.RESEND,
            now=self._stages.wall(),
        )
        if resolution is None:
            self.fenced()
            return
        metrics.ambiguous.inc(resolution.unknown)
        events.resolved(self.campaign_id, self.shard, resolution.unknown)
        holder.resolved(resolution.seqs, resolution.next_retry)

    async def _release(self) -> None:
        holder = self._holder
        if not holder.fenced and not await shards.release(
            self._stages.db,
            self.campaign_id,
            self.shard,
            self.epoch,
            done=holder.done,
            now=self._stages.wall(),
            idle=holder.idle,
        ):
            self.fenced()

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(max(seconds, 0.001)):
                await self._changed.wait()
        except TimeoutError:
            return
