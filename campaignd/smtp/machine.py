"""One SMTP session after EHLO and AUTH, as a state machine without I/O.

The caller writes what `open`, `body`, `begin_body`, `final_dot` and `quit` return, hands what
arrives to `receive`, and acts on events until there is NEED_DATA:

    READY    the server answered 354: write the body, if the right to do so still holds
    bytes    write these
    Ended    a transaction is over; judge the job by it
    Closed   close the connection; the machine is of no more use

A transaction goes through in one of three forms. Lockstep writes each command when the one
before it is answered. Pipelined writes MAIL, RCPT and DATA in one piece (RFC 2920). Overlapped
is pipelined, and `open` for the next job is called right after `body`, so that the body of one
and the commands of the next go out together.

R8 of the design: each reply is paired with the command that is due; a reply that fits no entry
of `protocol.STEPS`, that nobody asked for, or that is malformed is a desync. Errors stick:
whatever arrives afterwards is ignored. Calling out of turn raises Misuse, which is a bug.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from campaignd.model import Job, Outcome, Verdict
from campaignd.smtp import classify, command
from campaignd.smtp.classify import After, Decision, Effect, Phase, Stage, Trouble
from campaignd.smtp.command import Capabilities
from campaignd.smtp.protocol import (
    CALLS,
    CLOSING,
    GROUP,
    LOCKSTEP,
    NEED_DATA,
    READY,
    STEPS,
    Closed,
    Ended,
    Event,
    State,
    Step,
)
from campaignd.smtp.reply import (
    MAX_TEXT,
    MalformedReply,
    Reply,
    ReplyParser,
    printable,
    single_line,
    without_addresses,
)

MAX_USUAL: Final = 512
"""Octets of the replies to a group that are remembered, to recognise them when they come again:
most servers answer every transaction alike."""


class Misuse(RuntimeError):
    """The caller did what the machine's state does not allow."""


class Machine:
    """See the module's text. `relay` is the name that verdicts carry."""

    __slots__ = (
        "_answered",
        "_due",
        "_events",
        "_fresh",
        "_held",
        "_owes_rset",
        "_parser",
        "_refusal",
        "_then",
        "_usual",
        "carried",
        "completed",
        "front",
        "offered",
        "opening",
        "pipelining",
        "refused_in_a_row",
        "relay",
        "state",
    )

    def __init__(self, offered: Capabilities, *, relay: str, pipelining: bool = True) -> None:
        self.offered = offered
        self.pipelining = pipelining and offered.pipelining
        self.relay = relay
        self.state = State.IDLE
        self.opening: Job | None = None
        """The job whose final dot is not written yet."""
        self.front: Job | None = None
        """The job whose final dot awaits its reply."""
        self.completed = 0
        """Transactions that the server has answered to their end."""
        self.carried = False
        """Whether the server has accepted a message on this session."""
        self.refused_in_a_row = 0
        self._parser = ReplyParser()
        self._due: deque[Phase] = deque()  # what the server has to answer, in order
        self._events: deque[Event] = deque()
        self._then: Phase | None = None  # what we say once nothing is due
        self._answered = False  # a reply to MAIL of `opening` has been seen
        self._refusal: tuple[Verdict, Decision] | None = None  # of `opening`, its group unfinished
        self._owes_rset = False
        self._fresh = False  # a group is due, and no reply to it has been seen
        self._held = False  # the parser has bytes that no reply has been made of
        self._usual: bytes | None = None  # the last group's good replies

    @property
    def in_flight(self) -> int:
        """Jobs that this session holds: 0, 1, or 2 when overlapping."""
        return (self.opening is not None) + (self.front is not None)

    @property
    def waiting(self) -> Phase:
        """Whose reply is due next; BODY when we owe the body, IDLE when nobody owes anything."""
        if self._due:
            return self._due[0]
        return Phase.IDLE if self.opening is None else Phase.BODY

    @property
    def closed(self) -> bool:
        """Whether the machine is of no more use."""
        return self.state is State.CLOSED

    # what we say

    def open(self, job: Job) -> bytes:
        """Begins a transaction; write what is returned.

        Raises command.Unsendable, and is then as if not called.
        """
        self._check("open, overlapping" if self.pipelining else "open")
        command.prepare(job, self.offered)
        self.opening = job
        self.state = State.ENVELOPE
        self._answered = False
        self._refusal = None
        if not self.pipelining:
            return self._say(Phase.RSET if self._owes_rset else Phase.MAIL)
        if self._owes_rset:
            self._owes_rset = False
            self._due.append(Phase.RSET)
            self._due.extend(GROUP)
            return command.RSET + command.group(job, self.offered)
        self._due.extend(GROUP)
        self._fresh = True
        return command.group(job, self.offered)

    def body(self) -> bytes:
        """The whole message with its final dot."""
        self._check("body")
        job = self._await_verdict()
        return job.message + job.tail

    def begin_body(self) -> list[memoryview]:
        """The message in pieces without its final dot, which `final_dot` gives."""
        self._check("begin_body")
        assert self.opening is not None  # noqa: S101  # READY has one
        self.state = State.BODY
        message, tail = memoryview(self.opening.message), memoryview(self.opening.tail)
        if not tail:
            return [message[: -len(command.FINAL_DOT)]]
        return [message, tail[: -len(command.FINAL_DOT)]]

    def final_dot(self) -> bytes:
        """What ends the message after `begin_body`."""
        self._check("final_dot")
        self._await_verdict()
        return command.FINAL_DOT

    def quit(self) -> bytes:
        """Ends the session in order."""
        self._check("quit")
        self.state = State.QUIT
        self._due.append(Phase.QUIT)
        return command.QUIT

    def _check(self, call: str) -> None:
        if self.state not in CALLS[call]:
            raise Misuse(f"{call}: the session is in state {self.state.value}")

    def _await_verdict(self) -> Job:
        job = self.opening
        assert job is not None  # noqa: S101  # READY and BODY have one
        self.front = job
        self.opening = None
        self.state = State.DOT
        self._due.append(Phase.FINAL_DOT)
        return job

    def _say(self, phase: Phase) -> bytes:
        """One command by itself, whose reply is due from now on."""
        self._then = None
        self._due.append(phase)
        if phase is Phase.RSET:
            self._owes_rset = False
            return command.RSET
        if phase is Phase.LONE_DOT:
            return command.FINAL_DOT
        if phase is Phase.DATA:
            return command.DATA
        assert self.opening is not None  # noqa: S101  # MAIL and RCPT are said for it
        if phase is Phase.RCPT:
            return command.rcpt(self.opening)
        return command.mail(self.opening, self.offered)

    # what the server says

    def receive(self, data: bytes) -> Event:
        """Takes what arrived; returns the first event, as `next_event` does the others."""
        if not self._held and not self._events:
            # Shortcuts for what a server says nearly always. They must say what `_parse` would.
            if self.front is None:
                if self._fresh and data == self._usual:
                    return self._usual_group()
            elif (reply := single_line(data)) is not None:
                if reply.code // 100 == 2:
                    self._due.popleft()
                    return self._taken(reply)
            elif self._fresh and self._usual and data.endswith(self._usual):
                reply = single_line(data[: -len(self._usual)])
                if reply is not None and reply.code // 100 == 2:
                    self._due.popleft()
                    ended = self._taken(reply)
                    self._events.append(self._usual_group())
                    return ended
        self._parse(data)
        self._held = self._parser.pending
        return self.next_event()

    def next_event(self) -> Event:
        """The next event; NEED_DATA when there is none until more is received or said."""
        return self._events.popleft() if self._events else NEED_DATA

    def lost(self, trouble: Trouble, text: str = "") -> Event:
        """The session ends without a reply that says so: judges what is open by its phase (R8).

        `text` adds to the trouble's own words. Returns the first event; nothing is new when the
        session has ended before.
        """
        if not self.closed:
            reason = f"{trouble.value} at {classify.NAMES[self.waiting]}"
            self._fail(trouble, f"{reason}: {text}" if text else reason)
        return self.next_event()

    def _usual_group(self) -> Event:
        self._fresh = False
        self._answered = True
        self._due.clear()
        self.state = State.READY
        return READY

    def _parse(self, data: bytes) -> None:
        if self.closed:
            return
        parser = self._parser
        was_ready = self.state is State.READY
        whole_group = self._fresh and self.front is None and not parser.pending
        parser.feed(data)
        try:
            while self._due:
                reply = parser.next()
                if reply is None:
                    return
                self._apply(self._due.popleft(), reply)
                if self.closed:
                    return
            if parser.pending:  # what we have yet to say cannot have been answered
                self._unasked()
                return
        except MalformedReply as error:
            self._fail(Trouble.DESYNC, f"{Trouble.DESYNC.value}: {error}")
            return
        if self._then is not None:
            self._events.append(self._say(self._then))
        elif self.state is State.READY and not was_ready:
            self._events.append(READY)
            if whole_group and len(data) <= MAX_USUAL:
                self._usual = data

    def _apply(self, phase: Phase, reply: Reply) -> None:
        """Does what STEPS says about this reply to the command of `phase`."""
        kind = reply.code // 100
        step = STEPS.get((phase, kind))
        if phase is Phase.MAIL:
            self._answered = True
        if phase is not Phase.FINAL_DOT:
            self._fresh = False
        if step is Step.TAKEN:
            self._events.append(self._taken(reply))
        elif step is Step.NEXT:
            if not self.pipelining:
                self._then = LOCKSTEP[phase]
        elif step is Step.GO:
            self._go()
        elif step is Step.SETTLED:
            self.state = State.IDLE
        elif step is Step.REFUSE:
            self._refuse(phase, reply)
        elif step is Step.LEAVE:
            self._fail(Trouble.LOST, f"the server left: {reply.code} {reply.text}")
        else:
            at = classify.NAMES[phase]
            self._fail(Trouble.DESYNC, f"{Trouble.DESYNC.value} at {at}: {reply.code} {reply.text}")

    def _taken(self, reply: Reply) -> Ended:
        job = self.front
        assert job is not None  # noqa: S101  # the reply to a final dot is due for it
        self.front = None
        self.state = State.IDLE if self.opening is None else State.ENVELOPE
        self.completed += 1
        self.carried = True
        self.refused_in_a_row = 0
        return Ended(
            job,
            Verdict(Outcome.ACCEPTED, reply.code, reply.enhanced, reply.text, self.relay),
            classify.ACCEPTED,
        )

    def _go(self) -> None:
        if self._refusal is None:
            self.state = State.READY
            return
        self._end_refused()
        self._owes_rset = False  # the dot ends the transaction
        self._then = Phase.LONE_DOT
        self.state = State.SETTLING

    def _refuse(self, phase: Phase, reply: Reply) -> None:
        moot = self._refusal is not None and phase is not Phase.FINAL_DOT
        decision = classify.refusal(
            Phase.MOOT if moot else phase,
            reply.code,
            reply.enhanced,
            reply.text,
            proven=self.carried,
        )
        verdict = Verdict(decision.outcome, reply.code, reply.enhanced, reply.text, self.relay)
        if decision.after is After.CLOSE:
            self._shut(phase, verdict, decision)
        elif phase is Phase.FINAL_DOT:
            job = self.front
            assert job is not None  # noqa: S101
            self.front = None
            self.state = State.IDLE if self.opening is None else State.ENVELOPE
            self.refused_in_a_row += 1
            self._end(job, verdict, decision)
        else:
            if not moot:
                self._refusal = verdict, decision
            if phase is Phase.DATA or not self.pipelining:
                self._end_refused()

    def _end_refused(self) -> None:
        """The group of a refused transaction has been answered to its end."""
        assert self.opening is not None and self._refusal is not None  # noqa: S101
        verdict, decision = self._refusal
        job, self.opening, self._refusal = self.opening, None, None
        self._owes_rset = decision.after is After.RESET
        self.state = State.IDLE
        self.refused_in_a_row += 1
        self._end(job, verdict, decision)

    def _end(self, job: Job, verdict: Verdict, decision: Decision) -> None:
        self.completed += decision.attempted
        self._events.append(Ended(job, verdict, decision))

    def _unasked(self) -> None:
        """Bytes are there though nothing is due. Only a server that closes may say so
        (RFC 5321, 3.8), and until its reply is complete the bytes wait for their end."""
        parser = self._parser
        if not parser.may_become(CLOSING):
            said = printable(parser.held)
            self._fail(Trouble.DESYNC, f"{Trouble.DESYNC.value}: nobody asked for {said!r}")
        elif (reply := parser.next()) is not None:
            decision = classify.refusal(self.waiting, reply.code, reply.enhanced)
            verdict = Verdict(decision.outcome, reply.code, reply.enhanced, reply.text, self.relay)
            self._shut(self.waiting, verdict, decision)

    # how a session ends

    def _shut(self, phase: Phase, verdict: Verdict, decision: Decision) -> None:
        """A reply to the command of `phase` ends the session."""
        effect = Effect.NONE if phase is Phase.IDLE else decision.effect
        if self.front is not None:
            self._end(self.front, verdict, decision)
        if self.opening is not None:
            if self._refusal is not None:
                self._end(self.opening, *self._refusal)
            elif self.front is not None:  # the verdict is about the one before
                passed_on = classify.TROUBLES[Trouble.LOST, Stage.REUSED]
                self._end(self.opening, verdict._replace(outcome=passed_on.outcome), passed_on)
            else:
                self._end(self.opening, verdict, decision)
        self._close(f"{verdict.code} {verdict.text}", effect)

    def _fail(self, trouble: Trouble, text: str) -> None:
        """The session ends by a trouble, and what is open is judged by how far it got."""
        effect = Effect.NONE
        status = classify.STATUS[trouble]
        if self.front is not None:
            decision = classify.TROUBLES[trouble, Stage.AFTER_DOT]
            effect = decision.effect
            self._end(self.front, Verdict(decision.outcome, 0, status, text, self.relay), decision)
        if self.opening is not None:
            if self._refusal is not None:
                self._end(self.opening, *self._refusal)
            else:
                decision = classify.TROUBLES[trouble, self._stage()]
                if decision.effect is Effect.PENALISE:
                    effect = Effect.PENALISE
                verdict = Verdict(decision.outcome, 0, status, text, self.relay)
                self._end(self.opening, verdict, decision)
        self._close(text, effect)

    def _stage(self) -> Stage:
        if self._answered:
            return Stage.OPEN
        return Stage.REUSED if self.completed else Stage.FIRST

    def _close(self, reason: str, effect: Effect) -> None:
        self.state = State.CLOSED
        self.opening = self.front = self._refusal = self._then = None
        self._due.clear()
        self._fresh = False
        self._parser = ReplyParser()
        self._events.append(Closed(without_addresses(reason)[:MAX_TEXT], effect))
