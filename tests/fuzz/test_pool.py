"""The pool as a state machine: connections that succeed or not, relays that say anything, jobs
that come and go, in any order. No socket and no clock: what happens is only what a rule does."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast
from unittest import mock

import uvloop
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from campaignd.config import Config, Relay
from campaignd.errors import RelayOutage
from campaignd.model import Job, Outcome, Verdict
from campaignd.net import health, lane, pool
from campaignd.net.connect import Link
from campaignd.net.lane import Lane
from campaignd.net.pool import MAX_CONNECTING, Pool
from campaignd.net.session import Session
from campaignd.smtp.command import Capabilities
from tests.fakes.jobs import Source, make_job
from tests.fuzz import wire
from tests.fuzz.server import GROUP, SAYINGS, TAKEN
from tests.fuzz.transport import MemoryTransport

_loop = uvloop.new_event_loop()


class _Connector:
    """Connects when the state machine says so."""

    pending: list[asyncio.Future[Link]]

    def __init__(self, *args: object, **options: object) -> None: ...

    async def connect(self) -> Link:
        future: asyncio.Future[Link] = asyncio.get_running_loop().create_future()
        self.pending.append(future)
        try:
            return await future
        finally:
            self.pending.remove(future)


class PoolMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        _Connector.pending = []
        self.jobs: list[Job] = []
        self.source = Source()
        self.verdicts: dict[bytes, Verdict] = {}
        self.open: list[tuple[MemoryTransport, wire.Log]] = []
        self.logs: list[wire.Log] = []
        self.patches: list[Any] = [
            mock.patch.object(lane, "Connector", _Connector),
            mock.patch.object(pool, "SWEEP_SECONDS", 3_600.0),
            mock.patch.object(health, "FIRST_DELAY_SECONDS", 3_600.0),
            mock.patch.object(health, "LONGEST_DELAY_SECONDS", 3_600.0),
        ]
        for patch in self.patches:
            patch.start()

    @initialize(relays=st.data())
    def start(self, relays: st.DataObject) -> None:
        self.pool = Pool(_config(relays), self.source, self._report, host="c.example")
        self.running = _loop.create_task(self.pool.run())
        self._turn()

    def _report(self, job: Job, verdict: Verdict) -> None:
        assert job.recipient not in self.verdicts, "reported twice"
        self.verdicts[job.recipient] = verdict

    def _turn(self) -> None:
        """Lets the loop run until nothing is ready."""
        for _ in range(4):
            _loop.run_until_complete(asyncio.sleep(0))
        self.open = [(transport, log) for transport, log in self.open if not transport.ended]

    def _do(self, what: Any, *args: object) -> None:
        async def main() -> None:
            what(*args)

        _loop.run_until_complete(main())
        self._turn()

    @rule(count=st.integers(1, 5), long=st.booleans())
    def jobs_come(self, count: int, long: bool) -> None:
        message = b"S: x\r\n\r\n" + b"x\r\n" * (30_000 if long else 1) + b".\r\n"
        new = [make_job(len(self.jobs) + number, message=message) for number in range(count)]
        self.jobs += new
        self.source.jobs.extend(new)
        self._do(self.pool.wake)

    @precondition(lambda self: self.jobs)
    @rule(which=st.integers(0, 30))
    def a_right_ends(self, which: int) -> None:
        self.jobs[which % len(self.jobs)].right.deadline = 0.0

    @precondition(lambda self: bool(_Connector.pending))
    @rule(which=st.integers(0, 30), pipelining=st.booleans(), rtt=st.sampled_from([0.0, 1.0]))
    def a_connection_succeeds(self, which: int, pipelining: bool, rtt: float) -> None:
        log = wire.Log()
        self.logs.append(log)
        transport = MemoryTransport(log)
        self.open.append((transport, log))
        either = cast(asyncio.Transport, transport)
        link = Link(either, either, Capabilities(pipelining=pipelining), rtt)
        _Connector.pending[which % len(_Connector.pending)].set_result(link)
        self._turn()

    @precondition(lambda self: bool(_Connector.pending))
    @rule(which=st.integers(0, 30))
    def a_connection_fails(self, which: int) -> None:
        future = _Connector.pending[which % len(_Connector.pending)]
        future.set_exception(RelayOutage("refused"))
        self._turn()

    @precondition(lambda self: self.open)
    @rule(
        which=st.integers(0, 30),
        said=st.lists(
            st.sampled_from([*[GROUP] * 10, *[TAKEN] * 10, *SAYINGS]), min_size=1, max_size=2
        ),
    )
    def a_relay_speaks(self, which: int, said: Sequence[bytes]) -> None:
        transport, log = self.open[which % len(self.open)]
        data = b"".join(said)
        assert transport.protocol is not None
        log.heard(data)
        self._do(transport.protocol.data_received, data)

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0, 30))
    def a_relay_hangs_up(self, which: int) -> None:
        transport, _ = self.open[which % len(self.open)]
        assert transport.protocol is not None
        transport.ended = True
        self._do(transport.protocol.connection_lost, None)

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0, 30))
    def a_deadline_passes(self, which: int) -> None:
        transport, _ = self.open[which % len(self.open)]
        assert isinstance(transport.protocol, Session)
        transport.protocol.deadline = 0.0
        self._do(self.pool._sweep, _loop.time())

    @rule()
    def every_backoff_ends(self) -> None:
        for each in self.pool._lanes.values():
            each.health.retry_at = 0.0
        self._do(self.pool._sweep, _loop.time())

    @rule(relays=st.data())
    def the_configuration_changes(self, relays: st.DataObject) -> None:
        self._do(self.pool.reconfigure, _config(relays))

    @invariant()
    def every_job_is_in_one_place(self) -> None:
        known = len(self.source) + len(self.source.dropped) + len(self.verdicts)
        assert known + self._in_flight() == len(self.jobs)

    @invariant()
    def the_pool_knows_what_it_has(self) -> None:
        lanes: list[Lane] = self.pool._all() if hasattr(self, "pool") else []
        assert sum(each.connecting for each in lanes) <= len(_Connector.pending) <= MAX_CONNECTING
        held = {session for each in lanes for session in each.sessions}
        assert held == {transport.protocol for transport, _ in self.open}
        for each in lanes:
            assert each.idle.keys() <= each.sessions
            assert all(session.in_flight == 0 for session in each.idle)

    @invariant()
    def no_job_waits_for_nothing(self) -> None:
        if hasattr(self, "pool") and len(self.source):
            now = _loop.time()
            for each in self.pool._lanes.values():
                assert not each.idle, "a session rests while jobs wait"
                assert each.may_open(now) == 0 or len(self.source) <= len(_Connector.pending)

    def _in_flight(self) -> int:
        return self.pool.in_flight if hasattr(self, "pool") else 0

    def teardown(self) -> None:
        if hasattr(self, "pool"):
            self.pool.close()
            _loop.run_until_complete(self.running)
            self._check_outcomes()
        for patch in self.patches:
            patch.stop()

    def _check_outcomes(self) -> None:
        assert self._in_flight() == 0
        assert not _Connector.pending
        meant: dict[bytes, Outcome] = {}
        for log in self.logs:
            meant |= wire.outcomes(log)
        for job in self.jobs:
            verdict = self.verdicts.get(job.recipient)
            if job.recipient in meant:
                assert verdict is not None
                assert verdict.outcome is meant[job.recipient]
            elif verdict is not None:
                assert verdict.outcome in (Outcome.DEFERRED, Outcome.REJECTED)


def _config(data: st.DataObject) -> Config:
    names = data.draw(st.lists(st.sampled_from("ab"), min_size=1, unique=True), label="relays")
    return Config(
        relay=[
            Relay(
                name=name,
                host="h",
                port=data.draw(st.integers(25, 26), label="port"),
                connections=data.draw(st.integers(1, 3), label="connections"),
                messages_per_connection=data.draw(st.integers(1, 4), label="messages"),
            )
            for name in names
        ]
    )


TestPool = PoolMachine.TestCase
TestPool.settings = settings(
    max_examples=40, stateful_step_count=30, deadline=None, derandomize=True
)
