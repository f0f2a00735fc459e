"""A host: the daemon's pipeline, put together as `campaignd.daemon` does, on a simulated process.

`installed` puts simulated clocks, chance and servers where the pipeline's modules name the real
ones.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, cast
from unittest import mock

from redis.asyncio import Redis

from campaignd.channels.base import Channel
from campaignd.lease.keeper import Leases
from campaignd.pipeline import campaign, issue, protocol, queue, record, run, scheduler, turns
from campaignd.pipeline.campaign import CampaignCache
from campaignd.pipeline.limit import HostLimit
from campaignd.pipeline.queue import JobQueue
from campaignd.pipeline.record import Recorder
from campaignd.pipeline.run import Stages
from campaignd.pipeline.scheduler import Scheduler, peers_from
from campaignd.pipeline.signing import Signing
from campaignd.pipeline.turns import Turns
from campaignd.store import campaigns, ledger, shards
from campaignd.store.db import Database as RealDatabase
from tests.simulation import mysql, redis
from tests.simulation.clock import Process, World
from tests.simulation.lane import Lane
from tests.simulation.rules import Rules
from tests.simulation.weather import Weather

BEAT_SECONDS = 2.0
DRAIN_SECONDS = 8.0
FLUSH_SECONDS = 4.0


class _Current:
    """What the installed clocks and chances refer to."""

    world: World
    window: int


class _Time:
    """Stands for the module `time`."""

    @staticmethod
    def monotonic() -> float:
        assert _Current.world.running is not None
        return _Current.world.running.time()

    @staticmethod
    def time() -> float:
        assert _Current.world.running is not None
        return _Current.world.running.wall()

    perf_counter = monotonic


class _Random:
    """Stands for the module `random`."""

    @staticmethod
    def random() -> float:
        return _Current.world.rng.random()

    @staticmethod
    def uniform(low: float, high: float) -> float:
        return _Current.world.rng.uniform(low, high)


class _Silent:
    """Stands for the modules `events` and `metrics`."""

    def __getattr__(self, name: str) -> Any:
        return self

    def __getitem__(self, name: object) -> Any:
        return self

    def __call__(self, *args: object, **kwargs: object) -> Any:
        return self


class _Holder(protocol.Holder):
    """With windows of a few recipients."""

    def next_step(self, now: float, wall: float, limit: int = 0) -> protocol.Step:
        return super().next_step(now, wall, _Current.window)


@contextmanager
def installed() -> Iterator[None]:
    """Simulated surroundings for the pipeline's modules."""
    silent = _Silent()
    with ExitStack() as stack:

        def put(module: Any, **names: Any) -> None:
            stack.enter_context(mock.patch.multiple(module, **names))

        outside = {"time": _Time, "random": _Random, "events": silent, "metrics": silent}
        put(run, **outside, Holder=_Holder)
        put(run, shards=mysql.Api(shards), ledger=mysql.Api(ledger))
        put(issue, time=_Time, events=silent, metrics=silent, ledger=mysql.Api(ledger))
        put(record, **outside, ledger=mysql.Api(ledger))
        put(scheduler, time=_Time, events=silent, metrics=silent, TEND_SECONDS=0.5)
        put(scheduler, shards=mysql.Api(shards), POLL_SECONDS=1.2)
        put(scheduler, campaigns=mysql.Api(campaigns))
        put(campaign, shards=mysql.Api(shards))
        put(turns, LEAST_GRANT=2)
        put(queue, FRESH_SECONDS=queue.FRESH_SECONDS)
        logging.getLogger("asyncio").setLevel(logging.CRITICAL)
        yield


def use(world: World, *, window: int, fresh: float) -> None:
    """Makes a world the one that the installed surroundings show. Jobs are looked at again after
    `fresh` seconds."""
    _Current.world = world
    _Current.window = window
    queue.FRESH_SECONDS = fresh


class Surroundings:
    """What all hosts of a schedule share. `reports` are the heartbeats."""

    def __init__(
        self,
        world: World,
        weather: Weather,
        rules: Rules,
        database: mysql.Server,
        leases: redis.Server,
        ttl: float,
    ) -> None:
        self.world = world
        self.weather = weather
        self.rules = rules
        self.database = database
        self.leases = leases
        self.ttl = ttl
        self.reports: dict[str, tuple[float, dict[str, Any]]] = {}


class Host:
    """A daemon from its start on. `finished` says that it has stopped in good order."""

    def __init__(
        self, around: Surroundings, process: Process, *, slots: int, turns: int, sessions: int
    ) -> None:
        self.process = process
        self.finished = False
        self._around = around
        self._slots = slots
        database = cast(RealDatabase, mysql.Database(around.database, process))
        self.recorder = Recorder(database, process.name, process.wall)
        self.queue = JobQueue(process.time)
        self.lane = Lane(
            around.world,
            around.weather,
            around.rules,
            process,
            self.queue,
            self.recorder.report,
            sessions,
        )
        channel = cast(Channel, self.lane)
        self.signing = Signing(self.queue, self.lane.wake, threads=1)
        self.turns = Turns(turns)
        stages = Stages(
            database,
            channel,
            self.queue,
            self.signing,
            self.recorder,
            self.turns,
            HostLimit(None),
            process.name,
            around.ttl,
            process.wall,
        )
        client = cast(Redis, redis.Client(around.leases, process))
        self.scheduler = Scheduler(
            stages,
            Leases(client, process.name, around.ttl, process.time),
            CampaignCache(database, channel),
            slots=slots,
        )
        self._stop = asyncio.Event()
        self._stop_now = asyncio.Event()
        process.spawn(self._main())

    def terminate(self) -> None:
        """SIGTERM; for the second time, at once."""
        if self.process.alive:
            self.process.call_later(
                0.0, (self._stop_now if self._stop.is_set() else self._stop).set
            )

    async def _main(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            own = [
                tasks.create_task(work())
                for work in (
                    self.signing.run,
                    self.recorder.run,
                    self.scheduler.run,
                    self._beat,
                )
            ]
            await self._stop.wait()
            draining = asyncio.create_task(self._drain())
            at_once = asyncio.create_task(self._stop_now.wait())
            await asyncio.wait((draining, at_once), return_when=asyncio.FIRST_COMPLETED)
            at_once.cancel()
            if draining.done():
                draining.result()
            draining.cancel()
            for task in own:
                task.cancel()
        self.finished = True
        self.process.kill()

    async def _drain(self) -> None:
        clean = await self.scheduler.drain(DRAIN_SECONDS)
        if not clean:
            self.lane.abort()
            clean = await self.scheduler.drain(FLUSH_SECONDS)
        if clean:
            self._around.rules.check_drained(self.process)

    async def _beat(self) -> None:
        around, name = self._around, self.process.name
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            self.lane.wake()
            now = around.world.now
            if around.weather.redis_away:
                self.scheduler.peers = []
                continue
            report = {
                "slots": self._slots,
                "held": len(self.scheduler.runs),
                "shards": self.scheduler.held_by_campaign(),
                "draining": self._stop.is_set(),
            }
            around.reports[name] = (now, report)
            alive = {host: r for host, (at, r) in around.reports.items() if now - at < 5.0}
            self.scheduler.peers = peers_from(alive, name)
