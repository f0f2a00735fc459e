"""Looks every second whether a campaign is to be paused, and pauses it.

What `brakes` decides is carried out by the same transition as `campaignd pause`. A campaign that is
resumed begins anew: this host forgets what it saw, and only complaints about messages that were
accepted since then count.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from typing import Final, NamedTuple

from campaignd import events, metrics
from campaignd.errors import StoreOutage, TransitionError, UsageError
from campaignd.pipeline.brakes import Brake, Brakes, complaints, late_bounces
from campaignd.store import aftermath, campaigns
from campaignd.store.db import Database

LOOK_SECONDS: Final = 1.0
"""Between two looks at what this host has seen: some microseconds for a campaign."""

ASK_SECONDS: Final = 10.0
"""Between two questions to MySQL for what came later: three queries for all campaigns."""


class _Sample(NamedTuple):
    at: float
    accepted: int
    """Over all hosts."""


class Braking:
    """`running` says which campaigns this host works on; `clock` gives epoch seconds."""

    def __init__(
        self,
        db: Database,
        brakes: Brakes,
        running: Callable[[], Collection[int]],
        clock: Callable[[], float],
    ) -> None:
        self._db = db
        self._brakes = brakes
        self._running = running
        self._clock = clock
        self._samples: dict[int, list[_Sample]] = {}
        """Since this host took a campaign up: the first, and those of the window."""
        self._asked = 0.0

    async def run(self) -> None:
        """Works until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self.look(self._clock())
            except (StoreOutage, UsageError) as outage:
                events.store_outage("brakes", outage)

    async def look(self, now: float) -> None:
        """Pauses what is to be paused at `now`."""
        running = self._running()
        self._brakes.keep(running)
        for campaign in self._brakes:
            await self._pause_if(campaign, self._brakes.judge(campaign, now))
        self._samples = {one: kept for one, kept in self._samples.items() if one in running}
        new = [campaign for campaign in running if campaign not in self._samples]
        if new or now - self._asked >= ASK_SECONDS:
            self._asked = now
            await self._look_back(sorted(running), now)

    async def _look_back(self, running: list[int], now: float) -> None:
        """At what came of messages after they were accepted."""
        began = now - self._brakes.limits.window
        for campaign, accepted in (await aftermath.accepted(self._db, running)).items():
            samples = self._samples.setdefault(campaign, [])
            samples.append(_Sample(now, accepted))
            while len(samples) > 2 and samples[2].at <= began:
                del samples[1]
        recent = {campaign: _since(kept, began) for campaign, kept in self._samples.items()}
        limits = self._brakes.limits
        since = {campaign: sample.at for campaign, sample in recent.items()}
        for campaign, late in (await aftermath.bounced(self._db, since)).items():
            count = self._samples[campaign][-1].accepted - recent[campaign].accepted
            await self._pause_if(campaign, late_bounces(late.recipients, late.worst, count, limits))
        since = {campaign: kept[0].at for campaign, kept in self._samples.items()}
        for campaign, complained in (await aftermath.complained(self._db, since)).items():
            samples = self._samples[campaign]
            count = samples[-1].accepted - samples[0].accepted
            await self._pause_if(campaign, complaints(complained, count, limits))

    async def _pause_if(self, campaign: int, brake: Brake | None) -> None:
        if brake is None:
            return
        self._brakes.forget(campaign)
        self._samples.pop(campaign, None)
        try:
            await campaigns.pause(self._db, campaign, reason=brake.reason)
        except TransitionError:
            return  # somebody was faster
        metrics.brakes.labels(brake.cause.value).inc()
        events.campaign_paused(campaign, brake.reason)


def _since(samples: list[_Sample], began: float) -> _Sample:
    """The last sample before the window, or the first of all."""
    return samples[0] if len(samples) < 2 or samples[1].at > began else samples[1]
