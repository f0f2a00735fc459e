"""The daemon: puts the pipeline together, and answers signals.

SIGTERM and SIGINT drain (R7), a second one stops at once, SIGHUP takes over new limits, relays
and keys. MySQL and Redis may be away at any time, also at the start: the daemon waits.
"""

from __future__ import annotations

import asyncio
import gc
import math
import os
import random
import signal
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from campaignd import __version__, events, metrics
from campaignd.channels.email import EmailChannel
from campaignd.config import Config
from campaignd.errors import ConfigError, LeaseOutage, StoreOutage, UsageError
from campaignd.health import HealthServer
from campaignd.lease import client
from campaignd.lease.keeper import Leases
from campaignd.lease.peers import Peers
from campaignd.notify import Notifier
from campaignd.pipeline.brakes import Brakes
from campaignd.pipeline.braking import Braking
from campaignd.pipeline.campaign import CampaignCache
from campaignd.pipeline.limit import HostLimit
from campaignd.pipeline.queue import JobQueue
from campaignd.pipeline.record import Recorder
from campaignd.pipeline.run import Stages
from campaignd.pipeline.scheduler import Scheduler, peers_from
from campaignd.pipeline.signing import Signing
from campaignd.pipeline.turns import Turns
from campaignd.store import schema
from campaignd.store.bounces import RunLimits
from campaignd.store.clock import StoreClock
from campaignd.store.db import Database

BEAT_SECONDS: Final = 1.0

WAIT_SECONDS: Final = (0.25, 5.0)
"""First and longest pause between two looks for MySQL or Redis at the start."""

CLOCK_SECONDS: Final = 30.0
"""Between two looks at the store's clock, from which ours drifts by some milliseconds an hour."""

UNSENT: Final = 512
"""Recipients that may be claimed beyond two for each connection: enough to keep the lanes busy
over a claim, a read and a commit (some 45 ms at 11,574 messages a second)."""

FLUSH_SECONDS: Final = 5.0
"""After the drain's deadline, how long the last results may take to be committed."""

RECANCEL_SECONDS: Final = 1.0

YOUNG_OBJECTS: Final = 50_000
"""Containers that are new before the collector looks at them. Messages are freed without it; what
it is for, cycles in tasks that have ended and in errors, is some 10 MB of that many objects."""


def tune_collector() -> None:
    """For the whole process, before it begins to work: what was made to start it is never looked
    at again, and what comes later more seldom.

    At 30,000 messages the collector took 2.4 us for each with 200 sessions and 5.6 us with 3,000;
    with this it takes 27 ms once.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 20, 20)


class Daemon:
    """`reload` reads the configuration anew; it may raise ConfigError."""

    def __init__(self, config: Config, reload: Callable[[], Config]) -> None:
        """Raises UsageError for a secret or an address that cannot be used."""
        self._config = config
        self._reload = reload
        self._notifier = Notifier()
        self.host = config.daemon.host
        # Locks of a host that stands still end before its leases do.
        self._db = Database(
            config.mysql_target(), idle_seconds=max(2, math.ceil(config.lease.ttl / 2))
        )
        self._redis = client.connect(config.redis_target())
        self._peers = Peers(self._redis)
        self._clock = StoreClock()
        brakes = Brakes(config.brakes)
        self._recorder = Recorder(
            self._db,
            self.host,
            self._clock,
            brakes=brakes,
            limits=RunLimits.of(config.bounces),
        )
        self._queue = JobQueue()
        self._channel = EmailChannel(config, self._queue, self._recorder.report, host=self.host)
        self._signing = Signing(self._queue, self._channel.wake)
        self._turns = Turns(_capacity(self._channel))
        self._limit = HostLimit(config.limits.messages_per_second)
        stages = Stages(
            self._db,
            self._channel,
            self._queue,
            self._signing,
            self._recorder,
            self._turns,
            self._limit,
            self.host,
            config.lease.ttl,
            self._clock,
        )
        self._scheduler = Scheduler(
            stages,
            Leases(self._redis, self.host, config.lease.ttl),
            CampaignCache(self._db, self._channel),
            slots=config.daemon.max_shards,
        )
        self._braking = Braking(self._db, brakes, self._scheduler.at_work, self._clock)
        address = config.http.address
        self._health = HealthServer(address, self.trouble) if address is not None else None
        self._stop = asyncio.Event()
        self._stop_now = asyncio.Event()
        self._waiting = "starting"
        self._redis_trouble = ""
        self._rates: dict[int, float] = {}

    def trouble(self) -> str:
        """Why the daemon cannot work at present, or an empty string."""
        return self._waiting or self._scheduler.trouble or self._redis_trouble

    async def run(self) -> bool:
        """Works until a signal says to stop; whether everything was released cleanly."""
        self._on_signals()
        events.started(self.host, __version__, len(self._config.relay))
        self._notifier.ready()
        clean = True
        try:
            async with asyncio.TaskGroup() as tasks:
                own = [tasks.create_task(self._watch())]
                if self._health is not None:
                    own.append(tasks.create_task(self._health.run()))
                if await self._store_is_there():
                    own += [
                        tasks.create_task(work())
                        for work in (
                            self._channel.run,
                            self._signing.run,
                            self._recorder.run,
                            self._scheduler.run,
                            self._braking.run,
                            self._beat,
                            self._listen,
                            self._keep_time,
                        )
                    ]
                    await self._stop.wait()
                    clean = await self._drain()
                await _end(own)
        finally:
            await self._db.close()
            await self._redis.aclose()
        events.stopped(clean)
        return clean

    async def _store_is_there(self) -> bool:
        """Waits for MySQL with the right schema; False when told to stop before."""
        pause = WAIT_SECONDS[0]
        while not self._stop.is_set():
            try:
                await schema.require_current(self._db)
                await self._clock.ask(self._db)
            except (StoreOutage, UsageError) as error:
                self._waiting = str(error)
                self._notifier.status(f"waiting: {error}")
                events.waiting(str(error))
            else:
                self._waiting = ""
                return True
            try:
                async with asyncio.timeout(pause * random.uniform(0.5, 1.5)):  # noqa: S311
                    await self._stop.wait()
            except TimeoutError:
                pause = min(pause * 2, WAIT_SECONDS[1])
        return False

    async def _drain(self) -> bool:
        """R7 within the drain's deadline; what is in flight after it is judged by its phase."""
        self._notifier.stopping()
        scheduler, channel = self._scheduler, self._channel
        events.draining("signal", len(scheduler.runs), channel.in_flight)
        draining = asyncio.create_task(self._drain_within())
        at_once = asyncio.create_task(self._stop_now.wait())
        await asyncio.wait((draining, at_once), return_when=asyncio.FIRST_COMPLETED)
        at_once.cancel()
        if not draining.done():
            draining.cancel()
            return False
        return draining.result()

    async def _drain_within(self) -> bool:
        clean = await self._scheduler.drain(self._config.daemon.drain_timeout)
        if not clean:
            events.drain_timeout(self._channel.in_flight)
            self._channel.abort()
            clean = await self._scheduler.drain(FLUSH_SECONDS)
        try:
            await self._peers.leave(self.host)
        except (LeaseOutage, UsageError) as error:
            events.lease_outage(error)
        return clean

    async def _beat(self) -> None:
        """Once a second: tells the peers about this host, and learns about them."""
        last = time.monotonic()
        while True:
            now = time.monotonic()
            self._measure(max(now - last, 0.001))
            last = now
            try:
                await self._peers.beat(self.host, self._report())
                reports = await self._peers.reports()
            except (LeaseOutage, UsageError) as error:
                self._redis_trouble = str(error)
                self._scheduler.peers = []
                events.lease_outage(error)
            else:
                self._redis_trouble = ""
                self._scheduler.peers = peers_from(reports, self.host)
            self._notifier.status(self._summary())
            await asyncio.sleep(BEAT_SECONDS)

    def _measure(self, seconds: float) -> None:
        counts, self._recorder.counts = self._recorder.counts, {}
        rates = {
            campaign: (self._rates.get(campaign, 0.0) + counts.get(campaign, 0) / seconds) / 2
            for campaign in counts.keys() | self._rates.keys()
        }
        self._rates = {campaign: rate for campaign, rate in rates.items() if rate >= 0.05}
        metrics.turns_used.set(self._turns.used)
        metrics.turns_capacity.set(self._turns.capacity)
        metrics.unsigned.set(len(self._signing))
        metrics.queued.set(len(self._queue))
        metrics.in_flight.set(self._channel.in_flight)
        metrics.sessions.set(self._channel.open_sessions)
        metrics.backlog.set(self._recorder.backlog)

    def _report(self) -> dict[str, Any]:
        return {
            "version": __version__,
            "pid": os.getpid(),
            "held": len(self._scheduler.runs),
            "slots": self._scheduler.slots,
            "shards": {str(c): n for c, n in self._scheduler.held_by_campaign().items()},
            "rates": {str(campaign): round(rate, 1) for campaign, rate in self._rates.items()},
            "in_flight": self._channel.in_flight,
            "sessions": self._channel.open_sessions,
            "relays": self._channel.report(),
            "limit": self._limit.rate,
            "trouble": self.trouble(),
            "unrecorded_since": self._recorder.waiting_since,
            "draining": self._stop.is_set(),
        }

    def _summary(self) -> str:
        trouble = self.trouble()
        if trouble:
            return f"waiting: {trouble}"
        rate = sum(self._rates.values())
        return (
            f"{len(self._scheduler.runs)} shards, {rate:,.0f} messages/s,"
            f" {self._channel.open_sessions} sessions"
        )

    async def _listen(self) -> None:
        """Wake-ups. Without Redis the scheduler's poll does."""
        while True:
            try:
                await self._peers.listen(self._scheduler.woken)
            except (LeaseOutage, UsageError) as error:
                events.lease_outage(error)
                await asyncio.sleep(BEAT_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311

    async def _keep_time(self) -> None:
        """Follows the store's clock."""
        while True:
            await asyncio.sleep(CLOCK_SECONDS)
            try:
                await self._clock.ask(self._db)
            except (StoreOutage, UsageError) as error:
                events.store_outage("clock", error)

    async def _watch(self) -> None:
        """Feeds the watchdog and measures how late the loop is."""
        interval = min(0.25, (self._notifier.watchdog_seconds or 1.0) / 3)
        while True:
            due = time.monotonic() + interval
            await asyncio.sleep(interval)
            metrics.loop_lag_seconds.set(max(0.0, time.monotonic() - due))
            if self._notifier.watchdog_seconds is not None:
                self._notifier.alive()

    def _on_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_stop)
        loop.add_signal_handler(signal.SIGHUP, self._on_reload)

    def _on_stop(self) -> None:
        (self._stop_now if self._stop.is_set() else self._stop).set()

    def _on_reload(self) -> None:
        """Limits, relays and keys that sign: the rest needs a restart, which the operator can see
        in the reference."""
        self._notifier.reloading(time.monotonic())
        try:
            config = self._reload()
            self._channel.reconfigure(config)
        except ConfigError as error:
            events.reload_refused(str(error))
        else:
            self._limit.set(config.limits.messages_per_second)
            self._turns.capacity = _capacity(self._channel)
            self._turns.serve()
            events.reloaded(len(config.relay), config.limits.messages_per_second)
        self._notifier.ready()


async def _end(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancels the tasks and waits for them. Whatever is left after a while is cancelled again, its
    children too: up to Python 3.11 `asyncio.wait_for`, which aiosmtplib and aiomysql use, loses a
    cancellation that comes together with its result (https://github.com/python/cpython/issues/86296).
    """
    for task in tasks:
        task.cancel()
    _, pending = await asyncio.wait(tasks, timeout=RECANCEL_SECONDS)
    while pending:
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=RECANCEL_SECONDS)


def _capacity(channel: EmailChannel) -> int:
    return UNSENT + 2 * channel.capacity
