"""The machine, called by all the turns that a session may take, against the log of the wire."""

from __future__ import annotations

from campaignd.errors import RowError
from campaignd.model import Job, Outcome, SendRight
from campaignd.smtp.classify import Trouble
from campaignd.smtp.command import Capabilities
from campaignd.smtp.machine import Machine, Misuse
from campaignd.smtp.protocol import NEED_DATA, READY, Closed, Ended, Event, State
from tests.fuzz import wire
from tests.fuzz.choices import Choices, cut
from tests.fuzz.server import speech


def run(data: bytes) -> None:
    choices = Choices(data)
    talk = _Talk(choices)
    while choices.more() and not talk.machine.closed:
        talk.step()
    talk.act(talk.machine.lost(choices.pick(tuple(Trouble))))
    talk.check()


class _Talk:
    """A caller that keeps to the machine's rules, but for now and then."""

    def __init__(self, choices: Choices) -> None:
        self._choices = choices
        offered = Capabilities(
            pipelining=choices.flag(),
            eight_bit=choices.flag(),
            smtputf8=choices.flag(),
            size=choices.pick((None, 0, 100, 10_000)),
        )
        self.machine = Machine(offered, relay="r", pipelining=choices.flag())
        self._overlap = choices.flag()
        self._log = wire.Log()
        self._opened: list[bytes] = []
        self._ended: dict[bytes, Ended] = {}
        self._closed = 0

    def step(self) -> None:
        machine, choices = self.machine, self._choices
        turn = choices.number(0, 15)
        if turn == 0 and machine.state is State.IDLE:
            self._log.wrote(machine.quit())
        elif turn == 1:
            self._misuse()
        elif turn == 2 and machine.state is State.BODY:
            self._end_body()
        elif machine.state is State.IDLE and turn < 10:
            self._open()
        else:
            self._hear(speech(choices, machine.waiting))
        if machine.state is State.BODY and choices.flag():
            self._end_body()

    def act(self, event: Event) -> None:
        while event is not NEED_DATA:
            assert not self._closed, "an event after the end"
            if event is READY:
                self._body()
            elif isinstance(event, Ended):
                assert event.job.recipient not in self._ended, "judged twice"
                self._ended[event.job.recipient] = event
            elif isinstance(event, Closed):
                self._closed += 1
            elif isinstance(event, bytes):
                self._log.wrote(event)
            event = self.machine.next_event()

    def check(self) -> None:
        assert self._closed == 1
        assert self.machine.in_flight == 0
        assert list(self._ended) == [rcpt for rcpt in self._opened if rcpt in self._ended]
        assert set(self._ended) == set(self._opened)
        meant = wire.outcomes(self._log)
        for rcpt, ended in self._ended.items():
            outcome = ended.verdict.outcome
            if rcpt in meant:
                assert outcome is meant[rcpt], (rcpt, outcome, meant[rcpt])
                assert ended.decision.attempted
            else:
                assert outcome in (Outcome.DEFERRED, Outcome.REJECTED), outcome
            assert outcome is not Outcome.REJECTED or ended.decision.attempted
        self.machine.receive(b"250 late\r\n" * 3)
        assert self.machine.next_event() is NEED_DATA

    def _hear(self, said: bytes) -> None:
        for piece in cut(self._choices, said, 4):
            if self.machine.closed:
                return
            self._log.heard(piece)
            self.act(self.machine.receive(piece))

    def _open(self) -> None:
        number = len(self._opened)
        job = Job(
            None,
            SendRight(1e12),
            number,
            1,
            False,
            b"news@acme.example",
            self._choices.pick((b"u%d@x.example", b"u%d@x.example", b"u%d @x\r\nDATA")) % number,
            self._choices.pick(
                (b"S: x\r\n\r\nhi\r\n.\r\n", b"S: \xc3\xa9\r\n\r\n..\r\n.\r\n", b"x")
            ),
        )
        job.eight_bit = not job.message.isascii()
        before = self.machine.state
        try:
            written = self.machine.open(job)
        except RowError:
            assert self.machine.state is before
            return
        self._opened.append(job.recipient)
        self._log.wrote(written)

    def _body(self) -> None:
        if self._choices.flag():
            self._log.wrote(b"".join(self.machine.begin_body()))
            return
        self._log.wrote(self.machine.body())
        self._go_on()

    def _end_body(self) -> None:
        self._log.wrote(self.machine.final_dot())
        self._go_on()

    def _go_on(self) -> None:
        if self._overlap and self.machine.pipelining:
            self._open()

    def _misuse(self) -> None:
        """Calls out of turn are refused, and change nothing."""
        machine = self.machine
        before = machine.state, machine.in_flight, machine.waiting
        calls = {State.READY: (machine.quit,), State.BODY: (machine.quit, machine.body)}
        usual = (machine.body, machine.begin_body, machine.final_dot)
        for call in calls.get(machine.state, usual):
            try:
                call()
            except Misuse:
                pass
            else:
                raise AssertionError(f"{call.__name__} in {machine.state}")
        assert before == (machine.state, machine.in_flight, machine.waiting)
