"""Several relays as one: which session gets work, what to open, when to close.

`Pool._balance` decides all of that in one synchronous function; everything else here carries it
out or tells it that something changed. Relays are chosen by weight: work goes to the relay with
the fewest busy sessions for its weight. That shares a load which the relays can carry; under
more than that each relay works up to its `connections`, and the weights cease to matter.

While every relay is down the jobs stay in their source: trouble costs time, not messages.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Final

from campaignd.config import Config
from campaignd.errors import RelayOutage
from campaignd.model import Job, Verdict
from campaignd.net.jobs import JobSource, Report
from campaignd.net.lane import Lane, RelayStatus
from campaignd.net.rate import Rate
from campaignd.net.session import Session
from campaignd.smtp.classify import MAX_RETURNS

SWEEP_SECONDS: Final = 0.25
"""How often deadlines are looked at, and so how exact they are."""

MAX_CONNECTING: Final = 32
"""Connections under way at once over all relays: each costs about 1 ms of CPU, so that sending
stays smooth while a thousand are opened."""


class Pool:
    """The sessions to all relays. `run` must be running for anything to happen."""

    def __init__(self, config: Config, source: JobSource, report: Report, *, host: str) -> None:
        """`host` is how we call ourselves in EHLO where a relay has no `helo`."""
        self.source = source
        self.report = report
        self._host = host
        self._lanes: dict[str, Lane] = {}
        self._leaving: list[Lane] = []  # removed from the configuration, with sessions left
        self._group: asyncio.TaskGroup | None = None
        self._connects: set[asyncio.Task[None]] = set()
        self._rates: dict[Lane, asyncio.Task[None]] = {}
        self._connecting = 0
        self._draining = False
        self._full = False  # no more can be opened until something changes
        self.eight_bit = False
        """Whether every relay that has answered offered 8BITMIME in its last EHLO; false before
        any has. A plain attribute because it is read for each message (1.2 us as a question)."""
        self._quiet = asyncio.Event()
        self._end = asyncio.Event()
        self.reconfigure(config)

    # what the pipeline asks

    @property
    def in_flight(self) -> int:
        """Jobs that sessions hold."""
        return sum(session.in_flight for session in self._sessions())

    @property
    def open_sessions(self) -> int:
        return sum(len(lane.sessions) for lane in self._all())

    def relays(self) -> list[RelayStatus]:
        """The state of each relay, for people."""
        now = asyncio.get_running_loop().time()
        return [lane.status(now) for lane in self._all()]

    def __repr__(self) -> str:
        lanes = " ".join(map(repr, self._all()))
        return f"<Pool {self.in_flight} in flight, {len(self.source)} waiting; {lanes}>"

    async def run(self) -> None:
        """Works until cancelled or closed, then drops what is still open as `abort` does."""
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as group:
            self._group = group
            try:
                self._start_rates()
                while not self._end.is_set():
                    self._sweep(loop.time())
                    try:
                        async with asyncio.timeout(SWEEP_SECONDS):
                            await self._end.wait()
                    except TimeoutError:
                        pass
            finally:
                self._group = None
                self.abort()
                for task in self._rates.values():
                    task.cancel()
                self._rates.clear()

    def close(self) -> None:
        """Makes `run` return."""
        self._end.set()

    def wake(self) -> None:
        """There are new jobs in the source: idle sessions take them at once, and more sessions
        are opened if these are not enough."""
        if self._full and not any(lane.idle for lane in self._lanes.values()):
            return
        self._balance(asyncio.get_running_loop().time())

    async def drain(self, timeout: float) -> None:
        """Takes no more jobs, lets those in flight end, and says QUIT; for at most `timeout`
        seconds. What is in flight after that stays so until `abort`. Nothing is taken again."""
        self._draining = True
        self._cancel_connects()
        for session in list(self._sessions()):
            session.leave()
        self._check_quiet()
        try:
            async with asyncio.timeout(timeout):
                await self._quiet.wait()
        except TimeoutError:
            pass

    def abort(self) -> None:
        """Drops all sessions now. A job whose final dot is written is reported as unknown; any
        other was not attempted and is put back. Nothing is taken again."""
        self._draining = True
        self._cancel_connects()
        for session in list(self._sessions()):
            session.abort()

    def reconfigure(self, config: Config) -> None:
        """Takes over relays and limits. Sessions whose relay was removed, or is now reached in
        another way, finish their jobs and leave."""
        named = {relay.name: relay for relay in config.relay}
        for name in [name for name in self._lanes if name not in named]:
            lane = self._lanes.pop(name)
            lane.removed = True
            self._leaving.append(lane)
            self._leave(lane)
        for name, relay in named.items():
            lane = self._lanes.get(name) or Lane(config, relay, host=self._host)
            if name not in self._lanes:
                self._lanes[name] = lane
            elif lane.configure(config, relay, host=self._host):
                self._leave(lane)
        self._lanes = {name: self._lanes[name] for name in named}
        self._compare_offers()
        if self._group is not None:
            self._start_rates()
            self._changed()

    # what sessions tell

    def rests(self, session: Session) -> None:
        """A session has nothing to do."""
        session.lane.idle[session] = None
        if self._draining:
            self._check_quiet()

    def gone(self, session: Session) -> None:
        """A session is closed."""
        lane = session.lane
        lane.idle.pop(session, None)
        lane.sessions.discard(session)
        if lane.removed and not lane.sessions:
            self._leaving.remove(lane)
        self._full = False
        if self._draining:
            self._check_quiet()
        elif self._group is not None:
            asyncio.get_running_loop().call_soon(self.wake)

    def leaves(self, session: Session) -> None:
        """A session says QUIT."""
        session.lane.idle.pop(session, None)
        if self._draining:
            self._check_quiet()

    def hand_back(self, lane: Lane, job: Job, verdict: Verdict) -> None:
        """A job was not attempted."""
        job.returns += 1
        if job.returns > MAX_RETURNS:
            lane.counts[verdict.outcome] += 1
            self.report(job, verdict)
        else:
            lane.returned += 1
            self.source.put_back(job)

    # decisions

    def _balance(self, now: float) -> None:
        """Gives waiting jobs to idle sessions, and opens as many connections as more jobs wait
        than there are connections under way, where relays and limits allow."""
        if self._draining or self._group is None:
            return
        source = self.source
        lanes = self._lanes.values()
        while len(source):
            ready = [lane for lane in lanes if lane.idle and lane.permitted]
            if not ready:
                break
            session, _ = min(ready, key=_load).idle.popitem()
            session.pull()
            if session in session.lane.idle:  # it took none: there is none to take now
                return
        wanted = len(source) - self._connecting
        while wanted > 0:
            room = [lane for lane in lanes if not lane.idle and lane.may_open(now)]
            if not room or self._connecting >= MAX_CONNECTING:
                self._full = True
                return
            self._begin(min(room, key=_load))
            wanted -= 1

    def _sweep(self, now: float) -> None:
        for session in list(self._sessions()):
            if now >= session.deadline:
                session.expire(now)
            elif now >= session.retire_at and not session.leaving:
                session.leave()
        self._full = False
        self._balance(now)

    # carrying out

    def _begin(self, lane: Lane) -> None:
        assert self._group is not None  # noqa: S101  # _balance has checked
        probe = lane.health.probing
        lane.health.began()
        lane.connecting += 1
        self._connecting += 1
        task = self._group.create_task(self._connect(lane, probe=probe))
        self._connects.add(task)
        task.add_done_callback(self._connects.discard)

    async def _connect(self, lane: Lane, *, probe: bool) -> None:
        loop = asyncio.get_running_loop()
        generation = lane.generation
        link = None
        try:
            link = await lane.connector.connect()
        except RelayOutage as error:
            if generation == lane.generation:
                lane.failed(loop.time(), str(error))
        finally:
            lane.connecting -= 1
            self._connecting -= 1
            self._full = False
        if link is not None and (self._draining or lane.removed or generation != lane.generation):
            link.close()
            link = None
        if link is None:
            self._balance(loop.time())
            return
        lane.offered = link.offered
        self._compare_offers()
        lane.health.connected()
        session = Session(link, lane, self, probe=probe)
        lane.sessions.add(session)
        session.start()
        self._balance(loop.time())

    def _compare_offers(self) -> None:
        known = [lane.offered for lane in self._lanes.values() if lane.offered is not None]
        self.eight_bit = bool(known) and all(offered.eight_bit for offered in known)

    def _cancel_connects(self) -> None:
        for task in self._connects:
            task.cancel()

    def _start_rates(self) -> None:
        """Makes the running rates those of the configuration."""
        assert self._group is not None  # noqa: S101
        for lane in [*self._lanes.values(), *(lane for lane in self._rates if lane.removed)]:
            wanted = None if lane.removed else lane.relay.messages_per_second
            running = None if lane.rate is None else lane.rate.per_second
            if wanted == running:
                continue
            if lane in self._rates:
                self._rates.pop(lane).cancel()
            lane.rate = None
            if wanted is not None:
                lane.rate = Rate(wanted, self._changed)
                self._rates[lane] = self._group.create_task(lane.rate.run())

    def _changed(self) -> None:
        """There may be room where there was none."""
        self._full = False
        self.wake()

    def _leave(self, lane: Lane) -> None:
        for session in list(lane.sessions):
            session.leave()
        if lane.removed and not lane.sessions and lane in self._leaving:
            self._leaving.remove(lane)

    def _check_quiet(self) -> None:
        if not self.in_flight:
            self._quiet.set()

    def _all(self) -> list[Lane]:
        return [*self._lanes.values(), *self._leaving]

    def _sessions(self) -> Iterator[Session]:
        for lane in self._all():
            yield from lane.sessions


def _load(lane: Lane) -> float:
    return lane.load
