"""A server's side of SMTP as a pure function, and a caller of the machine that obeys its events.

The server pairs replies with commands strictly by RFC 5321, so that what a machine makes of a
transaction can be compared with what the server knows of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from campaignd.model import Job, Outcome, Verdict
from campaignd.smtp.classify import Decision, Trouble
from campaignd.smtp.machine import Machine
from campaignd.smtp.protocol import NEED_DATA, READY, Closed, Ended, State


class Answers(NamedTuple):
    """What the server says to one transaction's commands; the codes are its plan."""

    mail: int = 250
    rcpt: int = 250
    data: int = 354
    dot: int = 250
    lines: int = 1
    """Lines of each reply."""


class Server:
    """Takes what a client wrote, gives what it answers. Transactions are answered by `plan` in
    the order of their MAIL; the last entry is used for all further ones."""

    def __init__(self, plan: Sequence[Answers]) -> None:
        self._plan = list(plan)
        self._now = plan[0]
        self._buffer = b""
        self._in_data = False
        self._mail_ok = self._rcpt_ok = False
        self._content: list[bytes] = []
        self.accepted: list[bytes] = []
        """The content of each message it has taken."""
        self.hung_up = False

    def take(self, data: bytes) -> bytes:
        self._buffer += data
        said = b""
        while not self.hung_up and b"\r\n" in self._buffer:
            line, self._buffer = self._buffer.split(b"\r\n", 1)
            said += self._line(line + b"\r\n")
        return said

    def _line(self, line: bytes) -> bytes:
        if self._in_data:
            if line != b".\r\n":
                self._content.append(line)
                return b""
            return self._end_of_data()
        verb = line[:4]
        if verb == b"MAIL":
            assert not self._mail_ok, "nested MAIL"
            self._now = self._plan.pop(0) if len(self._plan) > 1 else self._plan[0]
            self._mail_ok = self._now.mail < 300
            return self._say(self._now.mail)
        if verb == b"RCPT":
            self._rcpt_ok = self._mail_ok and self._now.rcpt < 300
            return self._say(self._now.rcpt if self._mail_ok else 503)
        if verb == b"DATA":
            return self._data()
        self._mail_ok = self._rcpt_ok = False
        self.hung_up = verb == b"QUIT"
        return self._say(221 if self.hung_up else 250)

    def _data(self) -> bytes:
        code = self._now.data
        if not self._rcpt_ok and code != 354:
            code = 503
        self._in_data = code == 354
        self._content = []
        return self._say(code)

    def _end_of_data(self) -> bytes:
        self._in_data = False
        code = self._now.dot if self._rcpt_ok else 554
        self._mail_ok = self._rcpt_ok = False
        if code < 300:
            self.accepted.append(b"".join(self._content))
        return self._say(code)

    def _say(self, code: int) -> bytes:
        if code == 421:
            self.hung_up = True
        lines = [b"%d-more\r\n" % code] * (self._now.lines - 1)
        return b"".join(lines) + b"%d what %d\r\n" % (code, len(self.accepted))


class Caller:
    """Does what the machine's events ask for, as a session would."""

    def __init__(self, machine: Machine, jobs: Iterable[Job], *, overlap: bool, blocks: bool):
        self.machine = machine
        self.jobs: Iterator[Job] = iter(jobs)
        self.overlap = overlap
        self.blocks = blocks
        self.ended: list[tuple[int, Verdict, Decision]] = []
        self.closed: Closed | None = None

    def outcomes(self) -> list[tuple[int, Outcome, bool]]:
        """By job: its outcome, and whether it was attempted."""
        return [(seq, verdict.outcome, how.attempted) for seq, verdict, how in self.ended]

    def start(self) -> bytes:
        """What is written when nothing is due."""
        return self._open()

    def receive(self, data: bytes) -> bytes:
        """What is written after this has arrived."""
        machine = self.machine
        written = b""
        event = machine.receive(data)
        while event is not NEED_DATA:
            if event is READY:
                written += self._body()
            elif isinstance(event, Ended):
                self.ended.append((event.job.seq, event.verdict, event.decision))
            elif isinstance(event, Closed):
                assert self.closed is None
                self.closed = event
            else:
                assert isinstance(event, bytes)
                written += event
            event = machine.next_event()
        if machine.state is State.IDLE:
            written += self._open()
        return written

    def lose(self, trouble: Trouble) -> None:
        """The connection is gone."""
        event = self.machine.lost(trouble)
        while event is not NEED_DATA:
            if isinstance(event, Ended):
                self.ended.append((event.job.seq, event.verdict, event.decision))
            event = self.machine.next_event()

    def _open(self) -> bytes:
        job = next(self.jobs, None)
        return b"" if job is None else self.machine.open(job)

    def _body(self) -> bytes:
        if self.blocks:
            written = b"".join(self.machine.begin_body()) + self.machine.final_dot()
        else:
            written = self.machine.body()
        return written + self._open() if self.overlap and self.machine.pipelining else written
