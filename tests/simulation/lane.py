"""A channel for the simulation: sessions that end in a final dot, and receivers that judge it.

Keeps the duties of `campaignd.channels.base.Channel`: it looks at the right to send immediately
before a final dot, reports each job exactly once or puts it back, and judges a lost session by
its phase (R8).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from campaignd.errors import RowError
from campaignd.model import Job, Outcome, RetryPolicy, SendRight, UnknownPolicy, Verdict
from campaignd.pipeline.queue import JobQueue
from tests.simulation.clock import Process, World
from tests.simulation.rules import Dot, Rules
from tests.simulation.weather import Weather

RELAY = "relay"
"""The relay's name in verdicts that a reply decided."""

MAX_RETURNS = 2
"""How often a job goes back before it counts as deferred."""

RETRY = RetryPolicy(first=2.0, factor=2.0, longest=6.0, expire=1e6)
BAD_ROW = 13
"""The recipient of each shard that cannot be composed."""

UNSIGNED, SIGNED = b"message", b"signed message"


class Compiled:
    """See `campaignd.channels.base.CompiledCampaign`. Every other one is signed."""

    def __init__(self, policy: UnknownPolicy, *, signed: bool) -> None:
        self.policy = policy
        self.retry = RETRY
        self.shared_octets = 0
        self._sign = _sign if signed else None

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
        if seq == BAD_ROW:
            raise RowError("a field is missing")
        recipient, sign = address.encode(), self._sign
        return Job(owner, right, seq, attempt, maybe_duplicate, b"", recipient, UNSIGNED, sign=sign)


class Lane:
    """`sessions` jobs at a time, each from its MAIL to the reply to its final dot."""

    def __init__(
        self,
        world: World,
        weather: Weather,
        rules: Rules,
        process: Process,
        queue: JobQueue,
        report: Callable[[Job, Verdict], None],
        sessions: int,
    ) -> None:
        self._world = world
        self._weather = weather
        self._rules = rules
        self._process = process
        self._queue = queue
        self._report = report
        self._sessions = sessions
        self._before: dict[Job, None] = {}
        """Jobs whose final dot is not written."""
        self._after: dict[Job, Dot] = {}

    @property
    def capacity(self) -> int:
        return self._sessions

    @property
    def in_flight(self) -> int:
        return len(self._before) + len(self._after)

    def compile(self, campaign: int, spec: bytes, fields: Sequence[str]) -> Compiled:
        return Compiled(UnknownPolicy(spec.decode()), signed=campaign % 2 == 0)

    def wake(self) -> None:
        weather = self._weather
        while self.in_flight < self._sessions and not weather.relay_away:
            job = self._queue.get()
            if job is None:
                return
            self._rules.attempted(job)
            self._before[job] = None
            handshake = weather.delay(weather.pace, 5.0)
            self._process.call_later(handshake, self._data, job)

    def abort(self) -> None:
        before, self._before = self._before, {}
        after, self._after = self._after, {}
        for job in before:
            self._queue.put_back(job)
        for job in after:
            self._report(job, _verdict(Outcome.UNKNOWN))

    def _data(self, job: Job) -> None:
        """The server asks for the message."""
        if job not in self._before:
            return
        if (job.message == SIGNED) != (job.sign is not None):
            raise AssertionError(f"sends {job.message!r}")
        del self._before[job]
        rng, weather = self._world.rng, self._weather
        if self._process.time() >= job.right.deadline:
            self._queue.put_back(job)
        elif weather.relay_away or rng.random() < weather.session_lost:
            self._session_lost(job)
        else:
            self._final_dot(job)
        self.wake()

    def _session_lost(self, job: Job) -> None:
        job.returns += 1
        if job.returns > MAX_RETURNS:
            self._report(job, _verdict(Outcome.DEFERRED))
        else:
            self._queue.put_back(job)

    def _final_dot(self, job: Job) -> None:
        """Written: it may arrive at any time from now on, whatever becomes of this process."""
        world, weather = self._world, self._weather
        dot = self._after[job] = self._rules.final_dot(self._process, job)
        late = weather.late_dot and world.rng.random() < weather.late_dot
        way = world.rng.random() * 20 if late else weather.delay(weather.pace, 5.0)
        world.at(world.now + way, None, self._arrives, job, dot)

    def _arrives(self, job: Job, dot: Dot) -> None:
        world, weather = self._world, self._weather
        outcome = self._judge()
        self._rules.judged(dot, outcome)
        if world.rng.random() < weather.reply_lost:
            outcome = Outcome.UNKNOWN
        world.at(
            world.now + weather.delay(weather.pace, 5.0),
            self._process,
            self._reply,
            job,
            dot,
            outcome,
        )

    def _judge(self) -> Outcome:
        chance = self._world.rng.random()
        if chance < self._weather.deferred:
            return Outcome.DEFERRED
        if chance < self._weather.deferred + self._weather.rejected:
            return Outcome.REJECTED
        return Outcome.ACCEPTED

    def _reply(self, job: Job, dot: Dot, outcome: Outcome) -> None:
        if self._after.pop(job, None) is None:
            return
        if outcome is not Outcome.UNKNOWN:
            self._rules.replied(dot, self._process)
        self._report(job, _verdict(outcome, "" if outcome is Outcome.UNKNOWN else RELAY))
        self.wake()


def _sign(message: bytes, tail: bytes, now: int) -> bytes:
    return SIGNED


def _verdict(outcome: Outcome, relay: str = "") -> Verdict:
    return Verdict(outcome, 0, "", "", relay)
