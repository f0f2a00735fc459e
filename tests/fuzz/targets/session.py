"""A session over a transport that only remembers, against the log of the wire.

Time, the kernel's buffer, the right to send and the pool's wishes change at any moment.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import cast

import uvloop

from campaignd.config import Config, Relay
from campaignd.model import Job, Outcome, SendRight, Verdict
from campaignd.net.connect import Link
from campaignd.net.jobs import JobSource, Report
from campaignd.net.lane import Lane
from campaignd.net.session import BLOCK, INLINE_BODY, Session
from campaignd.smtp.command import Capabilities
from tests.fuzz import wire
from tests.fuzz.choices import Choices, cut
from tests.fuzz.server import speech
from tests.fuzz.transport import MemoryTransport

_LONG = b"S: x\r\n\r\n" + b"x" * 70 + b"\r\n"
_MESSAGES = (
    b"S: x\r\n\r\nhi\r\n.\r\n",
    _LONG * (INLINE_BODY // len(_LONG) + 1) + b".\r\n",
    _LONG * (2 * BLOCK // len(_LONG)) + b".\r\n",
)
_loop = uvloop.new_event_loop()


def run(data: bytes) -> None:
    _loop.run_until_complete(_run(Choices(data)))


async def _run(choices: Choices) -> None:
    rig = _Rig(choices)
    while choices.more() and not rig.endings:
        rig.step()
    rig.session.abort()
    rig.session.connection_lost(None)
    rig.check()


class _Rig:
    """The session and its supervisor."""

    def __init__(self, choices: Choices) -> None:
        self._choices = choices
        self._log = wire.Log()
        self._jobs: list[Job] = []
        self._waiting: deque[Job] = deque()
        self._reported: dict[bytes, Verdict] = {}
        self._returned: list[bytes] = []
        self._ended_at: dict[bytes, int] = {}
        self.endings = 0
        self.source: JobSource = self
        self.report: Report = self._report
        for _ in range(choices.number(0, 4)):
            self._add()
        relay = Relay(
            name="r",
            host="r.example",
            pipelining=choices.flag(),
            messages_per_connection=choices.number(1, 5),
        )
        self._transport = MemoryTransport(self._log)
        transport = cast(asyncio.Transport, self._transport)
        offered = Capabilities(pipelining=choices.flag(), size=choices.pick((None, 0, 99_999)))
        link = Link(transport, transport, offered, choices.pick((0.0, 1.0)))
        self._lane = Lane(Config(relay=[relay]), relay, host="c.example")
        self.session = Session(link, self._lane, self, probe=choices.flag())
        self.session.start()

    def step(self) -> None:
        choices, session = self._choices, self.session
        turn = choices.number(0, 15)
        if turn == 0:
            self._transport.room = choices.pick((0, 10, BLOCK))
        elif turn == 1:
            self._transport.room = 1 << 40
            self._transport.buffered = 0
            session.resume_writing()
        elif turn == 2:
            self._add()
        elif turn == 3 and session in self._lane.idle:
            del self._lane.idle[session]
            session.pull()
        elif turn == 4 and self._jobs:
            self._end_right(choices.pick(self._jobs))
        elif turn == 5 and choices.number(0, 3) == 0:
            choices.pick((session.leave, session.abort))()
        elif turn == 6 and choices.number(0, 3) == 0:
            session.expire(session.deadline)
        elif turn == 7 and choices.number(0, 3) == 0:
            self._transport.ended = True
            session.connection_lost(choices.pick((None, ConnectionResetError("reset"))))
        else:
            for piece in cut(choices, speech(choices, session._machine.waiting), 3):
                if not self._transport.ended:
                    self._log.heard(piece)
                    session.data_received(piece)

    def check(self) -> None:
        assert self.endings == 1
        assert self.session.in_flight == 0
        meant = wire.outcomes(self._log)
        waiting = [job.recipient for job in self._waiting]
        for job in self._jobs:
            rcpt = job.recipient
            kept = waiting.count(rcpt) + self._returned.count(rcpt)
            assert kept + (rcpt in self._reported) == 1, "lost, or in two places"
            outcome = self._reported[rcpt].outcome if rcpt in self._reported else None
            if rcpt in meant:
                assert outcome is meant[rcpt], (rcpt, outcome, meant[rcpt])
            else:
                assert outcome in (None, Outcome.DEFERRED, Outcome.REJECTED), outcome
        said, _ = wire.replies(b"".join(data for ours, data in self._log.events if not ours))
        for command in wire.commands(self._log, said):
            if command.kind == "DOT" and command.rcpt in self._ended_at:
                assert command.event < self._ended_at[command.rcpt], "R3"

    def _add(self) -> None:
        choices = self._choices
        rcpt = b"u%d@x.example" % len(self._jobs)
        message = choices.pick(_MESSAGES)
        job = Job(None, SendRight(1e12), 1, 1, False, b"", rcpt, message)
        self._jobs.append(job)
        self._waiting.append(job)
        if choices.number(0, 7) == 7:
            self._end_right(job)

    def _end_right(self, job: Job) -> None:
        job.right.deadline = 0.0
        self._ended_at.setdefault(job.recipient, len(self._log.events))

    # JobSource

    def get(self) -> Job | None:
        return self._waiting.popleft() if self._waiting else None

    def put_back(self, job: Job) -> None:
        if job.right.deadline == 0.0:
            self._returned.append(job.recipient)
        else:
            self._waiting.appendleft(job)

    def __len__(self) -> int:
        return len(self._waiting)

    # Supervisor

    def _report(self, job: Job, verdict: Verdict) -> None:
        assert job.recipient not in self._reported, "reported twice"
        self._reported[job.recipient] = verdict

    def rests(self, session: Session) -> None:
        self._lane.idle[session] = None

    def leaves(self, session: Session) -> None:
        self._lane.idle.pop(session, None)

    def gone(self, session: Session) -> None:
        self.endings += 1
        self._lane.idle.pop(session, None)

    def hand_back(self, lane: Lane, job: Job, verdict: Verdict) -> None:
        self._returned.append(job.recipient)
