"""Takes and gives up shards, keeps their leases, and obeys changes of campaigns.

Looks at MySQL when woken through Redis, and every second in case the wake-up was lost. What to
take is decided by `plan`; this carries it out.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

from campaignd import events, metrics
from campaignd.errors import LeaseOutage, StoreOutage, TemplateError, UsageError
from campaignd.lease.keeper import Leases
from campaignd.model import SendRight
from campaignd.pipeline.campaign import CampaignCache
from campaignd.pipeline.plan import Held, Offer, Peer, Shard, plan
from campaignd.pipeline.run import ShardRun, Stages
from campaignd.store import campaigns, shards

POLL_SECONDS: Final = 1.0
"""How often MySQL is asked without a wake-up. Four short queries, under 1 ms of our time."""

SPACING_SECONDS: Final = 0.05
"""Between two looks, however often it is woken: many small campaigns end within a second."""

TEND_SECONDS: Final = 0.1
"""How often deadlines are looked at; the lanes check them for every message besides."""

SWEEP_SECONDS: Final = 10.0
"""How often campaigns are looked for whose last shard was finished by a host that died then."""

OBEY_SECONDS: Final = 0.4
"""After a pause or cancel is noticed, a final dot may still be written for this long."""

OFFERS: Final = 64
"""Campaigns considered at a time beyond the slots of a host."""

WEATHER: Final = (StoreOutage, LeaseOutage, UsageError)


class Scheduler:
    """`runs` are the shards held at this moment; `woken` makes it look at once."""

    def __init__(self, stages: Stages, leases: Leases, cache: CampaignCache, *, slots: int) -> None:
        self.runs: dict[Shard, ShardRun] = {}
        self.woken = asyncio.Event()
        self.slots = slots
        self.peers: list[Peer] = []
        self.trouble = ""
        self._stages = stages
        self._leases = leases
        self._cache = cache
        self._draining = False
        self._taking = False
        self._idle = asyncio.Event()
        self._idle.set()
        self._swept = 0.0
        self._after = 0
        self._tasks: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        """Schedules until cancelled; shard runs live inside."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            tasks.create_task(self._keep_leases())
            while True:
                self.woken.clear()
                try:
                    await self._look()
                    self.trouble = ""
                except WEATHER as error:
                    self.trouble = str(error)
                    _log_trouble(error)
                await asyncio.sleep(SPACING_SECONDS)
                try:
                    async with asyncio.timeout(POLL_SECONDS):
                        await self.woken.wait()
                except TimeoutError:
                    pass

    async def drain(self, timeout: float) -> bool:
        """Stops every shard run cleanly (R7); whether all were released within `timeout`."""
        self._draining = True
        for run in list(self.runs.values()):
            run.stop("draining")
        try:
            async with asyncio.timeout(timeout):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    def held_by_campaign(self) -> dict[int, int]:
        """How many shards of each campaign this host holds."""
        return dict(Counter(campaign for campaign, _ in self.runs))

    def at_work(self) -> set[int]:
        """The campaigns that this host goes on with."""
        return {campaign for (campaign, _), run in self.runs.items() if not run.stopped}

    async def _look(self) -> None:
        db, now = self._stages.db, self._stages.wall()
        if started := await campaigns.due(db, now):
            events.campaigns_started(started)
        await self._obey()
        if self._draining:
            return
        if now - self._swept > SWEEP_SECONDS:
            self._swept = now
            for campaign in await shards.complete_campaigns(db):
                await self._finish(campaign)
        offers = await self._offers(now)
        held = [
            Held(shard, run.campaign.account, run.started)
            for shard, run in self.runs.items()
            if not run.stopped
        ]
        busy = len(self.runs) - len(held)
        decided = plan(
            held,
            offers,
            self.peers,
            slots=self.slots - busy,
            now=time.monotonic(),
            stopping=busy,
        )
        for shard in decided.stop:
            self.runs[shard].stop("handed over")
        await self._take_all(decided.start)

    async def _take_all(self, shards_to_take: Sequence[Shard]) -> None:
        """A drain waits for the one takeover that is under way, and there is no other."""
        self._taking = True
        self._idle.clear()
        try:
            for shard in shards_to_take:
                if self._draining:
                    break
                await self._take(shard)
        finally:
            self._taking = False
            self._rest()

    def _rest(self) -> None:
        if not self.runs and not self._taking:
            self._idle.set()

    async def _obey(self) -> None:
        states = await shards.states(self._stages.db, sorted({c for c, _ in self.runs}))
        for (campaign, _), run in list(self.runs.items()):
            state = states.get(campaign, "gone")
            if state != "running":
                run.stop(state, within=OBEY_SECONDS)

    async def _offers(self, now: float) -> list[Offer]:
        """Running campaigns with work due. With more than can be looked at, others each time."""
        db = self._stages.db
        most = self.slots + OFFERS
        found = await shards.open_campaigns(db, now, after=self._after, limit=most)
        if self._after and len(found) < most:
            start = await shards.open_campaigns(db, now, after=0, limit=most - len(found))
            found += [campaign for campaign in start if campaign.id <= self._after]
        self._after = found[-1].id if len(found) == most else 0
        numbers = await shards.open_shards(
            db, [campaign.id for campaign in found], now, self.slots * (len(self.peers) + 2)
        )
        free = await self._leases.free([shard for shard in numbers if shard not in self.runs])
        open_by, free_by = Counter(c for c, _ in numbers), defaultdict(list)
        for campaign, number in free:
            free_by[campaign].append(number)
        return [Offer(c.id, c.account, open_by[c.id], free_by[c.id]) for c in found]

    async def _take(self, shard: Shard) -> None:
        campaign_id, number = shard
        stages = self._stages
        try:
            campaign = await self._cache.get(campaign_id)
        except TemplateError as error:
            await campaigns.pause(
                stages.db, campaign_id, reason=f"cannot be composed: {error}"[:200]
            )
            events.campaign_paused(campaign_id, str(error))
            return
        deadline = await self._leases.acquire(shard)
        if deadline is None:
            return
        try:
            taken = await shards.take(stages.db, campaign_id, number, stages.host)
        except BaseException:
            await self._give_up(shard)
            raise
        if taken is None or self._tasks is None:
            await self._give_up(shard)
            return
        run = ShardRun(
            stages, campaign, number, SendRight(deadline), taken, taken_at=time.monotonic()
        )
        self.runs[shard] = run
        if self._draining:
            run.stop("draining")
        events.shard_taken(campaign_id, number, taken.epoch, clean=not run.unresolved)
        self._tasks.create_task(self._work(shard, run))

    async def _work(self, shard: Shard, run: ShardRun) -> None:
        try:
            await run.run()
        finally:
            del self.runs[shard]
            self._rest()
        await self._give_up(shard)
        try:
            await self._finish(run.campaign_id)
        except WEATHER as error:
            _log_trouble(error)
        self.woken.set()

    async def _finish(self, campaign: int) -> None:
        if await shards.finish_campaign(self._stages.db, campaign, self._stages.wall()):
            events.campaign_finished(campaign)

    async def _give_up(self, shard: Shard) -> None:
        """Best effort: a lease that stays behind ends by itself."""
        try:
            await self._leases.release(shard)
        except (LeaseOutage, UsageError) as error:
            _log_trouble(error)

    async def _keep_leases(self) -> None:
        """Renews at a third of the TTL, so that two renewals may fail; ends what ran out."""
        renewed = 0.0
        while True:
            await asyncio.sleep(TEND_SECONDS)
            now = time.monotonic()
            for run in list(self.runs.values()):
                if now >= run.right.deadline:
                    # For good: a lease that is renewed after its end may have been another
                    # host's meanwhile.
                    run.right_ended()
            held = {shard: run for shard, run in self.runs.items() if not run.forfeited}
            if held and now - renewed >= self._leases.ttl / 3:
                renewed = now
                try:
                    await self._renew(held)
                except (LeaseOutage, UsageError) as error:
                    _log_trouble(error)
                    renewed = now - self._leases.ttl / 4
            metrics.held_shards.set(len(self.runs))

    async def _renew(self, held: Mapping[Shard, ShardRun]) -> None:
        for shard, deadline in (await self._leases.renew(list(held))).items():
            if deadline is None:
                held[shard].lease_lost()
            else:
                held[shard].renewed(deadline)


def peers_from(reports: dict[str, dict[str, Any]], myself: str) -> list[Peer]:
    """The other hosts that can work, from their heartbeats."""
    return [
        Peer(
            int(report.get("slots", 0)) - int(report.get("held", 0)),
            {int(key): int(value) for key, value in report.get("shards", {}).items()},
        )
        for host, report in reports.items()
        if host != myself and not report.get("draining") and not report.get("trouble")
    ]


def _log_trouble(error: Exception) -> None:
    if isinstance(error, LeaseOutage):
        events.lease_outage(error)
    else:
        events.store_outage("schedule", error)
