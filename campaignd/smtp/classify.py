"""All delivery policy: what an answer, or the lack of one, means.

Sorted by scope, as in Postfix's smtp_trouble.c: the relay and the session first, then the
message and its recipient. The first rule that fits decides. Nothing else in campaignd may look
at a reply code to decide what becomes of a message, a session or a relay. What kind of refusal it
is by its words, `bounces` knows.
"""

from __future__ import annotations

import enum
from typing import Final, NamedTuple

from campaignd.model import Outcome
from campaignd.smtp import bounces
from campaignd.smtp.bounces import Bounce

MAX_RETURNS: Final = 3
"""How often a job may come back un-attempted before its recipient is deferred. More would let
one relay's trouble hold a job for ever; fewer would count a closed idle connection against it."""


class Phase(enum.IntEnum):
    """The command that a reply answers, or what the session is about."""

    IDLE = 0
    MAIL = 1
    RCPT = 2
    DATA = 3
    BODY = 4
    """The body is being written; no reply is due."""
    FINAL_DOT = 5
    LONE_DOT = 6
    """The end of an empty message after 354 without a recipient (RFC 2920, 3.1)."""
    RSET = 7
    QUIT = 8
    MOOT = 9
    """RCPT or DATA of a group in which an earlier command was refused: that refusal stands."""


NAMES: Final = {
    Phase.IDLE: "rest",
    Phase.MAIL: "MAIL",
    Phase.RCPT: "RCPT",
    Phase.DATA: "DATA",
    Phase.BODY: "the body",
    Phase.FINAL_DOT: "the final dot",
    Phase.LONE_DOT: "a lone dot",
    Phase.RSET: "RSET",
    Phase.QUIT: "QUIT",
    Phase.MOOT: "a refused transaction",
}
"""How people read a phase."""


class After(enum.Enum):
    """What to do with the session."""

    KEEP = "keep"
    RESET = "reset"
    """The server still has a transaction open: RSET before the next MAIL."""
    CLOSE = "close"


class Effect(enum.Enum):
    """What it means for the relay's health."""

    NONE = "none"
    PENALISE = "penalise"


class Trouble(enum.Enum):
    """Why a session ended without a reply that says so."""

    LOST = "connection lost"
    TIMEOUT = "no answer in time"
    DESYNC = "protocol error"
    RIGHT_ENDED = "the right to send ended"
    ABORTED = "aborted"


class Stage(enum.Enum):
    """How far an open transaction got, as far as its outcome depends on it."""

    FIRST = "first"
    """No reply to MAIL has been seen, on a session that has completed nothing yet."""
    REUSED = "reused"
    """No reply to MAIL has been seen, on a session that worked before."""
    OPEN = "open"
    """A reply to MAIL has been seen; the final dot is not written."""
    AFTER_DOT = "after the final dot"


class Decision(NamedTuple):
    """What follows. When `attempted` is false the job goes back to its source as if it had never
    left, at most MAX_RETURNS times; `outcome` holds when that is used up."""

    outcome: Outcome
    after: After
    effect: Effect = Effect.NONE
    attempted: bool = True


NO_STATUS: Final = "none"
"""Stands for a missing enhanced code in a rule."""


class Rule(NamedTuple):
    """Fits a refusal when its command, its code and its enhanced code fit: one that begins like
    one of `enhanced`, where NO_STATUS stands for none and an empty tuple for any. With a `bounce`
    it has to be of that class, too, and with `proven` on a session that has, or has not, carried a
    message before. `why` is for people who tune this."""

    phases: frozenset[Phase]
    codes: frozenset[int]
    enhanced: tuple[str, ...]
    decision: Decision
    why: str
    bounce: Bounce | None = None
    proven: bool | None = None


_ANY: Final = frozenset(Phase)
_DOT: Final = frozenset({Phase.FINAL_DOT})
_BEFORE_DOT: Final = _ANY - _DOT
_COMMANDS: Final = frozenset({Phase.MAIL, Phase.RCPT, Phase.DATA})
_MAIL: Final = frozenset({Phase.MAIL})
_RCPT: Final = frozenset({Phase.RCPT})
_RCPT_OR_DATA: Final = frozenset({Phase.RCPT, Phase.DATA})
_MAIL_OR_DOT: Final = frozenset({Phase.MAIL, Phase.FINAL_DOT})
_FOUR: Final = frozenset(range(400, 500))
_FIVE: Final = frozenset(range(500, 600))

_RETURN: Final = Decision(Outcome.DEFERRED, After.CLOSE, Effect.PENALISE, attempted=False)
_DEFER: Final = Outcome.DEFERRED
_REJECT: Final = Outcome.REJECTED

RULES: Final = (
    # the relay will not have us now
    Rule(
        _DOT,
        frozenset({421}),
        (),
        Decision(_DEFER, After.CLOSE, Effect.PENALISE),
        "421 instead of 2xx to the final dot: the message was definitely not taken",
    ),
    Rule(_BEFORE_DOT, frozenset({421}), (), _RETURN, "closing (RFC 5321, 3.8): costs no message"),
    Rule(
        _BEFORE_DOT,
        frozenset({530, 534, 535, 538}),
        (),
        _RETURN,
        "AUTH or STARTTLS is wanted (RFC 4954, 3207): the relay refuses us, not the recipient",
    ),
    Rule(
        _COMMANDS,
        _FIVE,
        (),
        _RETURN,
        "it does not carry our mail (relaying denied, a quota used up): its trouble, never final"
        " for a recipient; while it is left alone, other relays do the work",
        bounce=Bounce.RELAY,
        proven=False,
    ),
    Rule(
        _DOT,
        _FIVE,
        (),
        Decision(_DEFER, After.CLOSE, Effect.PENALISE),
        "the same, but the message was written",
        bounce=Bounce.RELAY,
        proven=False,
    ),
    Rule(
        _MAIL_OR_DOT,
        _FIVE,
        (),
        Decision(_DEFER, After.KEEP),
        "the same from a relay that carried our mail a moment ago: others need not wait for what it"
        " has against this one",
        bounce=Bounce.RELAY,
        proven=True,
    ),
    Rule(
        _RCPT_OR_DATA,
        _FIVE,
        (),
        Decision(_DEFER, After.RESET),
        "the same, with a transaction to end",
        bounce=Bounce.RELAY,
        proven=True,
    ),
    Rule(
        _MAIL,
        _FOUR,
        ("4.3.1", "4.3.2", "4.4.5"),
        Decision(_DEFER, After.CLOSE, Effect.PENALISE),
        "full, closed or congested (RFC 3463, 3.4 and 3.5): no message would fare better; only to"
        " MAIL, since to RCPT servers say it of one recipient",
    ),
    # this session is of no more use
    Rule(
        _COMMANDS,
        frozenset({500, 502, 503}),
        (NO_STATUS, "5.5."),
        Decision(_DEFER, After.CLOSE, Effect.PENALISE),
        "the server does not follow the session, so its answer says nothing of the recipient;"
        " with another enhanced code it does",
    ),
    # the message and its recipient
    Rule(
        _RCPT,
        frozenset({552}),
        (),
        Decision(_DEFER, After.RESET),
        "to RCPT it may mean 452, too many recipients (RFC 5321, 4.5.3.1.10)",
    ),
    Rule(_DOT, _FOUR, (), Decision(_DEFER, After.KEEP), "4yz: try again later"),
    Rule(_DOT, _FIVE, (), Decision(_REJECT, After.KEEP), "5yz: final"),
    Rule(_MAIL, _FOUR, (), Decision(_DEFER, After.KEEP), "4yz: no transaction was opened"),
    Rule(_MAIL, _FIVE, (), Decision(_REJECT, After.KEEP), "5yz: no transaction was opened"),
    Rule(_ANY, _FOUR, (), Decision(_DEFER, After.RESET), "4yz: try again later"),
    Rule(_ANY, _FIVE, (), Decision(_REJECT, After.RESET), "5yz: final"),
)

ACCEPTED: Final = Decision(Outcome.ACCEPTED, After.KEEP)
"""2yz to the final dot: the server has taken responsibility (RFC 5321, 4.2.5)."""

UNSENDABLE: Final = Decision(Outcome.REJECTED, After.KEEP)
"""Judged by us before a byte of it was written."""


def refusal(
    phase: Phase, code: int, enhanced: str, text: str = "", *, proven: bool = False
) -> Decision:
    """What a reply of class 4 or 5 means. `enhanced` may be empty; `proven` says whether a message
    was accepted on this session before."""
    status = enhanced or NO_STATUS
    bounce: Bounce | None = None
    for rule in RULES:
        if (
            code in rule.codes
            and phase in rule.phases
            and (not rule.enhanced or status.startswith(rule.enhanced))
            and (rule.proven is None or rule.proven is proven)
        ):
            if rule.bounce is not None:
                bounce = bounce or bounces.classify(code, enhanced, text)
                if bounce is not rule.bounce:
                    continue
            return rule.decision
    raise ValueError(f"{code} is no refusal")


_DEFER_OPEN: Final = Decision(_DEFER, After.CLOSE, Effect.PENALISE)
_UNKNOWN: Final = Decision(Outcome.UNKNOWN, After.CLOSE, Effect.PENALISE)
_RETURN_QUIETLY: Final = Decision(_DEFER, After.CLOSE, Effect.NONE, attempted=False)
_UNKNOWN_QUIETLY: Final = Decision(Outcome.UNKNOWN, After.CLOSE)

TROUBLES: Final[dict[tuple[Trouble, Stage], Decision]] = {
    (Trouble.LOST, Stage.FIRST): _RETURN,
    # a server may close what it thinks idle while our MAIL is on its way
    (Trouble.LOST, Stage.REUSED): _RETURN_QUIETLY,
    (Trouble.LOST, Stage.OPEN): _DEFER_OPEN,
    (Trouble.LOST, Stage.AFTER_DOT): _UNKNOWN,
    (Trouble.TIMEOUT, Stage.FIRST): _RETURN,
    (Trouble.TIMEOUT, Stage.REUSED): _RETURN,
    (Trouble.TIMEOUT, Stage.OPEN): _DEFER_OPEN,
    (Trouble.TIMEOUT, Stage.AFTER_DOT): _UNKNOWN,
    # R8: judged by phase alone
    (Trouble.DESYNC, Stage.FIRST): _DEFER_OPEN,
    (Trouble.DESYNC, Stage.REUSED): _DEFER_OPEN,
    (Trouble.DESYNC, Stage.OPEN): _DEFER_OPEN,
    (Trouble.DESYNC, Stage.AFTER_DOT): _UNKNOWN,
    # our own doing: without its final dot the server drops the message
    (Trouble.RIGHT_ENDED, Stage.FIRST): _RETURN_QUIETLY,
    (Trouble.RIGHT_ENDED, Stage.REUSED): _RETURN_QUIETLY,
    (Trouble.RIGHT_ENDED, Stage.OPEN): _RETURN_QUIETLY,
    (Trouble.RIGHT_ENDED, Stage.AFTER_DOT): _UNKNOWN_QUIETLY,
    (Trouble.ABORTED, Stage.FIRST): _RETURN_QUIETLY,
    (Trouble.ABORTED, Stage.REUSED): _RETURN_QUIETLY,
    (Trouble.ABORTED, Stage.OPEN): _RETURN_QUIETLY,
    (Trouble.ABORTED, Stage.AFTER_DOT): _UNKNOWN_QUIETLY,
}
"""What becomes of an open transaction when its session ends without a reply."""

STATUS: Final[dict[Trouble, str]] = {
    Trouble.LOST: "4.4.2",
    Trouble.TIMEOUT: "4.4.2",
    Trouble.DESYNC: "4.5.0",
    Trouble.RIGHT_ENDED: "",
    Trouble.ABORTED: "",
}
"""The enhanced code that is recorded for a trouble (RFC 3463, 3.5 and 3.6)."""
