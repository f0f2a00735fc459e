"""One connection to a relay: a thin asyncio.Protocol over the SMTP machine.

No task and no timer per message. Bytes come in, the machine says what they mean, the verdict is
reported, the next job is taken and written, all in one callback. Deadlines are a number that
the pool looks at a few times a second.

R3: the right to send is checked against the clock immediately before a final dot is written,
and a final dot is written only when nothing is buffered before it in this process, so that it
goes to the kernel at once or not at all.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from typing import Final, Protocol

from campaignd.config import Timeouts
from campaignd.errors import RowError
from campaignd.model import Job, Outcome, Verdict
from campaignd.net.connect import Link
from campaignd.net.jobs import JobSource, Report
from campaignd.net.lane import Lane
from campaignd.smtp.classify import Effect, Phase, Trouble
from campaignd.smtp.command import Unsendable
from campaignd.smtp.machine import Machine
from campaignd.smtp.protocol import NEED_DATA, READY, Closed, Ended, Event, State

INLINE_BODY: Final = 16_384
"""Octets of a message that is written in one piece with its final dot. Linux gives a fresh TCP
socket this much send buffer at least (the default of net.ipv4.tcp_wmem), and at this point the
server has read all that we wrote before, so it fits. Longer ones go in blocks."""

BLOCK: Final = 65_536
"""Octets of a long body that are written before waiting for the kernel to take them; the `body`
deadline is for each block (RFC 5321, 4.5.3.2.5)."""

DRAIN_POLL_SECONDS: Final = 0.02
"""How often a long body over TLS looks whether the TCP transport below has drained, which only
that transport is told."""

OVERLAP_RTT_SECONDS: Final = 0.005
"""From this round trip on, bodies overlap with the commands of the next message. It saves one
of two round trips, and costs about 10 us of CPU for TCP_QUICKACK: on a LAN the sessions are
never short of messages anyway, at 5 ms a session's rate goes from 100 to 200 a second."""

MAX_REFUSED: Final = 3
"""Refusals in a row after which a session is replaced. Postfix delays every reply by a second from
the tenth error on that follows no delivery, and hangs up at the twentieth (smtpd_soft_error_limit,
hard); and a group whose MAIL is refused is three errors, since RCPT and DATA are refused too."""

QUIT_SECONDS: Final = 5.0
"""How long the reply to QUIT is waited for; nothing depends on it."""

TCP_QUICKACK: Final = 12
"""Of linux/tcp.h. Without it there is no overlap."""


class Supervisor(Protocol):
    """What a session needs from the pool."""

    source: JobSource
    report: Report

    def rests(self, session: Session) -> None:
        """It has no job and could take one."""

    def leaves(self, session: Session) -> None:
        """It will take no more jobs, has none, and says QUIT."""

    def gone(self, session: Session) -> None:
        """Its connection is closed or about to be; it holds no job."""

    def hand_back(self, lane: Lane, job: Job, verdict: Verdict) -> None:
        """A job comes back un-attempted; `verdict` is for when that happened too often."""


class Session(asyncio.Protocol):
    """See the module's text."""

    __slots__ = (
        "_below",
        "_body",
        "_get",
        "_gone",
        "_lane",
        "_left",
        "_loop",
        "_machine",
        "_ours",
        "_overlap",
        "_probe",
        "_report",
        "_socket",
        "_stamped",
        "_supervisor",
        "_time",
        "_timeouts",
        "_transport",
        "deadline",
        "leaving",
        "retire_at",
    )

    def __init__(self, link: Link, lane: Lane, supervisor: Supervisor, *, probe: bool) -> None:
        relay = lane.relay
        loop = asyncio.get_running_loop()
        self._loop = loop
        self._time = loop.time
        self._lane = lane
        self._supervisor = supervisor
        self._get = supervisor.source.get
        self._report = supervisor.report
        self._transport = link.transport
        self._below = link.below
        self._machine = Machine(link.offered, relay=relay.name, pipelining=relay.pipelining)
        self._overlap = (
            self._machine.pipelining and link.rtt >= OVERLAP_RTT_SECONDS and sys.platform == "linux"
        )
        self._socket: socket.socket = link.below.get_extra_info("socket")
        self._timeouts = _by_phase(relay.timeouts)
        self._left = relay.messages_per_connection
        self._body: list[memoryview] | None = None  # what is left to write of a long body
        self._stamped = Phase.IDLE  # the phase that `deadline` is for
        self._probe = probe
        self._ours = False  # the session ends by our own will
        self._gone = False
        now = loop.time()
        self.deadline = now + relay.timeouts.idle
        """Seconds of the loop's clock; at this time or later, call `expire`."""
        self.retire_at = now + relay.seconds_per_connection
        """Seconds of the loop's clock; at this time or later, call `leave`."""
        self.leaving = False

    def __repr__(self) -> str:
        return f"<Session {self._lane.name} {self._machine.state.value}>"

    @property
    def lane(self) -> Lane:
        """Its relay's lane."""
        return self._lane

    @property
    def in_flight(self) -> int:
        """Jobs that it holds."""
        return self._machine.in_flight

    def start(self) -> None:
        """Takes the connection over and begins to work."""
        # With a limit of 0 uvloop writes at once rather than at the end of the iteration (before
        # 0.22 it would not), and tells us whenever the kernel did not take everything.
        self._below.set_write_buffer_limits(high=0)
        if self._transport is not self._below:
            self._transport.set_write_buffer_limits(high=0)
        self._transport.set_protocol(self)
        self.pull()

    def pull(self) -> None:
        """Takes the next job if there is one, and if this session may take one."""
        now = self._time()
        commands = self._take(now)
        if commands is not None:
            self._stamp(Phase.MAIL, now)
            self._transport.write(commands)
        elif self.leaving or self._left <= 0:
            self._quit(now)
        else:
            self._stamp(Phase.IDLE, now)
            self._supervisor.rests(self)

    def leave(self) -> None:
        """Takes no more jobs; says QUIT when it has none."""
        self.leaving = True
        if self._machine.state is State.IDLE and not self._gone:
            self._quit(self._time())

    def expire(self, now: float) -> None:
        """The deadline has passed."""
        waiting = self._machine.waiting
        if self._machine.state is State.IDLE:
            self._quit(now)
        else:
            self._act(self._machine.lost(Trouble.TIMEOUT, f"after {self._timeouts[waiting]:g} s"))

    def abort(self) -> None:
        """Drops the connection. What is before its final dot is handed back, the rest is
        reported as unknown."""
        self._ours = True
        self._act(self._machine.lost(Trouble.ABORTED))

    # asyncio.Protocol

    def data_received(self, data: bytes) -> None:
        if self._overlap:
            self._quick_ack()
        machine = self._machine
        event = machine.receive(data)
        if event is READY:  # nothing can come after it before the body
            self._send_body()
            return
        if event is not NEED_DATA:
            self._act(event)
        if machine.state is State.IDLE:
            self.pull()
        elif machine.waiting is not self._stamped:
            self._stamp(machine.waiting, self._time())

    def connection_lost(self, exc: Exception | None) -> None:
        self._act(self._machine.lost(Trouble.LOST, _words(exc)))

    def resume_writing(self) -> None:
        if self._body is not None:
            self._write_blocks()

    # how it works

    def _act(self, event: Event) -> None:
        while event is not NEED_DATA:
            if event is READY:
                self._send_body()
            elif type(event) is Ended:
                self._ended(event)
            elif type(event) is bytes:
                self._transport.write(event)
            elif type(event) is Closed:
                self._closed(event)
            event = self._machine.next_event()

    def _take(self, now: float) -> bytes | None:
        """The commands of the next job, or None when there is none to take."""
        lane = self._lane
        late: Job | None = None
        while self._left > 0 and not self.leaving:
            rate = lane.rate
            if rate is not None and rate.permits <= 0:
                return None
            job = self._get()
            if job is None:
                return None
            if now >= job.right.deadline:
                self._supervisor.source.put_back(job)
                if job is late:  # the source does not drop it
                    return None
                late = job
                continue
            try:
                commands = self._machine.open(job)
            except RowError as error:
                self._reject(job, error)
                continue
            self._left -= 1
            if rate is not None:
                rate.take()
            return commands
        return None

    def _send_body(self) -> None:
        machine = self._machine
        job = machine.opening
        assert job is not None  # noqa: S101  # READY has one
        now = self._time()
        if now >= job.right.deadline:
            self._right_ended()
            return
        if len(job.message) + len(job.tail) > INLINE_BODY:
            self._body = machine.begin_body()
            self._write_blocks()
            return
        data = machine.body()
        if self._overlap and (commands := self._take(now)) is not None:
            data += commands
        self._stamp(Phase.FINAL_DOT, now)
        self._transport.write(data)

    def _write_blocks(self) -> None:
        """Writes a long body as the kernel takes it, and its final dot after the last octet."""
        while (body := self._body) is not None and not self._gone:
            if self._transport.get_write_buffer_size() or self._below.get_write_buffer_size():
                if self._transport is not self._below:
                    self._loop.call_later(DRAIN_POLL_SECONDS, self.resume_writing)
                return
            now = self._time()
            if body:
                block = body[0][:BLOCK]
                body[0] = body[0][BLOCK:]
                if not body[0]:
                    del body[0]
                self._stamp(Phase.BODY, now)
                self._transport.write(block)
            else:
                self._body = None
                self._end_body(now)

    def _end_body(self, now: float) -> None:
        job = self._machine.opening
        assert job is not None  # noqa: S101  # BODY has one
        if now >= job.right.deadline:
            self._right_ended()
            return
        data = self._machine.final_dot()
        if self._overlap and (commands := self._take(now)) is not None:
            data += commands
        self._stamp(Phase.FINAL_DOT, now)
        self._transport.write(data)

    def _ended(self, ended: Ended) -> None:
        job, verdict, decision = ended
        lane = self._lane
        if decision.attempted:
            if self._probe and decision.effect is Effect.NONE:
                self._probe = False
                lane.worked()
            lane.counts[verdict.outcome] += 1
            self._report(job, verdict)
            if self._machine.refused_in_a_row >= MAX_REFUSED:
                self.leaving = True
        elif self._ours:
            self._supervisor.source.put_back(job)
        else:
            self._supervisor.hand_back(lane, job, verdict)

    def _reject(self, job: Job, error: RowError) -> None:
        enhanced = error.enhanced if isinstance(error, Unsendable) else "5.6.0"
        self._lane.counts[Outcome.REJECTED] += 1
        self._report(job, Verdict(Outcome.REJECTED, 0, enhanced, str(error), self._lane.name))

    def _right_ended(self) -> None:
        self._ours = True
        self._act(self._machine.lost(Trouble.RIGHT_ENDED))

    def _quit(self, now: float) -> None:
        self.leaving = True
        self._supervisor.leaves(self)
        self._stamp(Phase.QUIT, now)
        self._transport.write(self._machine.quit())

    def _closed(self, closed: Closed) -> None:
        if self._gone:
            return
        self._gone = True
        self._body = None
        if closed.effect is Effect.PENALISE:
            self._lane.failed(self._time(), closed.reason)
        elif self._probe:
            self._lane.health.probe_ended()
        if self._stamped is Phase.QUIT:
            self._transport.close()
        else:
            self._transport.abort()
        self._supervisor.gone(self)

    def _stamp(self, phase: Phase, now: float) -> None:
        self._stamped = phase
        self.deadline = now + self._timeouts[phase]

    def _quick_ack(self) -> None:
        # The kernel falls back to delayed ACKs by itself, which with the server's Nagle
        # algorithm would stall every overlapped message for 40 ms.
        try:
            self._socket.setsockopt(socket.IPPROTO_TCP, TCP_QUICKACK, 1)
        except OSError:
            self._overlap = False


def _by_phase(timeouts: Timeouts) -> tuple[float, ...]:
    """Indexed by Phase; in seconds."""
    seconds = dict.fromkeys(Phase, timeouts.mail)
    seconds[Phase.IDLE] = timeouts.idle
    seconds[Phase.RCPT] = timeouts.rcpt
    seconds[Phase.DATA] = timeouts.data
    seconds[Phase.BODY] = timeouts.body
    seconds[Phase.FINAL_DOT] = seconds[Phase.LONE_DOT] = timeouts.final_dot
    seconds[Phase.QUIT] = QUIT_SECONDS
    return tuple(seconds[phase] for phase in Phase)


def _words(exc: Exception | None) -> str:
    if exc is None:
        return ""
    return (exc.strerror if isinstance(exc, OSError) else None) or str(exc)
