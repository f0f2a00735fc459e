"""The protocol of a session as data: its states, what each reply does, and the events.

Only `machine` acts on this; it stands apart so that it can be read, and tested, as tables.
"""

from __future__ import annotations

import enum
from typing import Final, NamedTuple

from campaignd.model import Job, Verdict
from campaignd.smtp.classify import Decision, Effect, Phase


class State(enum.Enum):
    """What may be called next is in CALLS."""

    IDLE = "idle"
    ENVELOPE = "envelope"
    """Commands are written, replies are due; perhaps also one to the final dot before."""
    READY = "ready"
    """The server answered 354 and awaits the body."""
    BODY = "body"
    """The body is being written without its final dot."""
    DOT = "final dot"
    """The reply to the final dot is due, and nothing else."""
    SETTLING = "settling"
    """The reply to a lone dot is due; no job is open."""
    QUIT = "quit"
    CLOSED = "closed"


class Step(enum.Enum):
    """What a reply does to the transaction it belongs to."""

    NEXT = "next"
    REFUSE = "refuse"
    GO = "go"
    """354: the body may come, or a lone dot if the transaction was refused before."""
    TAKEN = "taken"
    SETTLED = "settled"
    LEAVE = "leave"


STEPS: Final = {
    (Phase.MAIL, 2): Step.NEXT,
    (Phase.MAIL, 4): Step.REFUSE,
    (Phase.MAIL, 5): Step.REFUSE,
    (Phase.RCPT, 2): Step.NEXT,
    (Phase.RCPT, 4): Step.REFUSE,
    (Phase.RCPT, 5): Step.REFUSE,
    (Phase.DATA, 3): Step.GO,
    (Phase.DATA, 4): Step.REFUSE,
    (Phase.DATA, 5): Step.REFUSE,
    (Phase.FINAL_DOT, 2): Step.TAKEN,
    (Phase.FINAL_DOT, 4): Step.REFUSE,
    (Phase.FINAL_DOT, 5): Step.REFUSE,
    # nothing was sent to anybody, so any answer will do
    (Phase.LONE_DOT, 2): Step.SETTLED,
    (Phase.LONE_DOT, 4): Step.SETTLED,
    (Phase.LONE_DOT, 5): Step.SETTLED,
    (Phase.RSET, 2): Step.NEXT,
    (Phase.RSET, 4): Step.LEAVE,
    (Phase.RSET, 5): Step.LEAVE,
    (Phase.QUIT, 2): Step.LEAVE,
    (Phase.QUIT, 4): Step.LEAVE,
    (Phase.QUIT, 5): Step.LEAVE,
}
"""What the reply to a command does, by the first digit of its code. What is not here is a
desync."""

CALLS: Final = {
    "open": (State.IDLE,),
    "open, overlapping": (State.IDLE, State.DOT),
    "body": (State.READY,),
    "begin_body": (State.READY,),
    "final_dot": (State.BODY,),
    "quit": (State.IDLE,),
}
"""The states in which each call is allowed."""

LOCKSTEP: Final = {Phase.RSET: Phase.MAIL, Phase.MAIL: Phase.RCPT, Phase.RCPT: Phase.DATA}
"""The command that follows when each waits for its reply."""

CLOSING: Final = 421
"""The one reply that may come without a command (RFC 5321, 3.8)."""

GROUP: Final = (Phase.MAIL, Phase.RCPT, Phase.DATA)


class Signal(enum.Enum):
    """Events that carry nothing."""

    NEED_DATA = "need data"
    READY = "ready"


class Ended(NamedTuple):
    """A transaction is over. When `decision.attempted` is false the job should be handed back,
    and `verdict` holds only if it came back too often."""

    job: Job
    verdict: Verdict
    decision: Decision


class Closed(NamedTuple):
    """Close the connection. `effect` is what it means for the relay's health."""

    reason: str
    effect: Effect


Event = Signal | bytes | Ended | Closed

NEED_DATA: Final = Signal.NEED_DATA
READY: Final = Signal.READY
