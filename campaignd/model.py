"""The nouns of the design that more than one package speaks of.

Plain values: no I/O, no clock, no decisions. What travels on the hot path (`Job`, `Verdict`)
is slotted or a tuple.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable
from typing import Final, NamedTuple

SHARD_SIZE: Final = 10_000
"""Recipients in a full shard: the unit that one host leases."""


class Outcome(enum.IntEnum):
    """What became of an attempt. The numbers are stored in the ledger: never renumber."""

    DEFERRED = 1
    """4xx or connection trouble; will be retried."""
    ACCEPTED = 2
    """The receiver answered 2xx to the final dot; no more than that is claimed."""
    REJECTED = 3
    """5xx, or a recipient that cannot be composed; final."""
    EXPIRED = 4
    """Deferred until the retries were used up; final."""
    SUPPRESSED = 5
    """Not attempted because the address is suppressed; final."""
    UNKNOWN = 6
    """The connection or the host was lost between the final dot and its reply.

    Final only if the campaign's policy is `keep`.
    """

    @property
    def label(self) -> str:
        """The name that people see, in lower case."""
        return self.name.lower()


class CampaignState(enum.StrEnum):
    """The life of a campaign. Stored by value: never rename."""

    LOADING = "loading"
    """Its audience is not complete; daemons do not see it."""
    DRAFT = "draft"
    """Complete, waits for `start`."""
    SCHEDULED = "scheduled"
    """Complete, starts at its time."""
    RUNNING = "running"
    PAUSED = "paused"
    CANCELLED = "cancelled"
    FINISHED = "finished"


class SuppressionReason(enum.IntEnum):
    """Why an address must not be written to; the greater, the stronger. The numbers are stored:
    never renumber."""

    IMPORTED = 1
    BOUNCED = 2
    MANUAL = 3
    UNSUBSCRIBED = 4
    COMPLAINED = 5

    @property
    def label(self) -> str:
        """The name that people see, in lower case."""
        return self.name.lower()


class UnknownPolicy(enum.StrEnum):
    """What follows an attempt whose reply was lost."""

    RESEND = "resend"
    """Attempt again; the new attempt is marked `maybe_duplicate`."""
    KEEP = "keep"
    """Record `unknown` and never send again."""


class Counts(NamedTuple):
    """The counts of R1, from one consistent read. `total` is the sum of the others."""

    total: int
    pending: int
    deferred: int
    accepted: int
    rejected: int
    expired: int
    suppressed: int
    unknown: int


class RetryPolicy(NamedTuple):
    """When a deferred recipient is tried again. All in seconds."""

    first: float = 300.0
    factor: float = 2.0
    longest: float = 14_400.0
    expire: float = 172_800.0
    """After this long since the campaign started, a deferral becomes `expired`."""


class SendRight:
    """The right to write final dots for one shard, which its holder renews or ends.

    `deadline` is in seconds of `time.monotonic()`, which is uvloop's clock too (and goes on within
    an iteration); no final dot may be written at or after it (R3). It only ever moves forward by a
    renewal, or to the past when the right ends.
    """

    __slots__ = ("deadline",)

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline


Sign = Callable[[bytes, bytes, int], bytes]
"""See `Job`."""


class Job:
    """One attempt to deliver one composed message, on its way through a lane.

    `sender` and `recipient` are the bare mailboxes of MAIL and RCPT (`sender` may be empty),
    checked by the composer: no CR, LF, NUL, space or angle bracket. `message` is the content
    with CRLF line ends, already dot-stuffed, but for its end `tail`, which the jobs of a campaign
    share and which is mostly empty: together they end in CRLF.CRLF. `eight_bit` says that
    `message` has octets above 127; `recode` composes it anew without them, for a session that
    does not offer 8BITMIME. `smtputf8` says that an address or header needs RFC 6531.
    `sign` is what is left to do before it may be sent, by any thread: it takes `message`, `tail`
    and seconds of the epoch, and returns the signed `message`; None for nothing.
    `owner` is the shard run that gets the result; lanes do not look into it.
    `returns` counts how often a lane handed the job back without having attempted it.
    `read_at` is when its recipient was last seen not to be suppressed, in seconds of
    `time.monotonic()`; infinity for a job that no suppression concerns.
    """

    __slots__ = (
        "attempt",
        "eight_bit",
        "maybe_duplicate",
        "message",
        "owner",
        "read_at",
        "recipient",
        "recode",
        "returns",
        "right",
        "sender",
        "seq",
        "sign",
        "smtputf8",
        "tail",
    )

    def __init__(
        self,
        owner: object,
        right: SendRight,
        seq: int,
        attempt: int,
        maybe_duplicate: bool,
        sender: bytes,
        recipient: bytes,
        message: bytes,
        eight_bit: bool = False,
        smtputf8: bool = False,
        recode: Callable[[], bytes] | None = None,
        sign: Sign | None = None,
        tail: bytes = b"",
    ) -> None:
        self.owner = owner
        self.right = right
        self.seq = seq
        self.attempt = attempt
        self.maybe_duplicate = maybe_duplicate
        self.sender = sender
        self.recipient = recipient
        self.message = message
        self.eight_bit = eight_bit
        self.smtputf8 = smtputf8
        self.recode = recode
        self.sign = sign
        self.tail = tail
        self.returns = 0
        self.read_at = math.inf


class Verdict(NamedTuple):
    """What one attempt came to, as the ledger records it."""

    outcome: Outcome
    code: int
    """The basic reply code (RFC 5321, 4.2), 0 when no reply decided it."""
    enhanced: str
    """The enhanced status code (RFC 3463) such as `5.1.1`, or an empty string."""
    text: str
    """The reply's text, or our own words when no reply decided it; printable, at most 500
    characters."""
    relay: str
    """The name of the relay that was used, or an empty string."""


class Taken(NamedTuple):
    """A shard's durable state as it was when this host took it (R5)."""

    size: int
    epoch: int
    """Ours: already incremented."""
    claimed: int
    done: int
    ambiguous: int
    """Recipients above `done` and up to here without a fact are ambiguous; 0 for none."""
    facts: frozenset[int]
    """Numbers above `done` that already have a fact."""
    stray_retries: bool
    """A predecessor claimed retries and did not release them."""
    next_retry: float | None
    """When the earliest unclaimed retry is due (wall clock); None for none."""


class Retry(NamedTuple):
    """The next attempt that a result calls for."""

    due_at: float
    """Wall clock, seconds since the epoch."""
    maybe_duplicate: bool


class Attempt(NamedTuple):
    """One claimed attempt that may now be made."""

    seq: int
    number: int
    maybe_duplicate: bool


class Fact(NamedTuple):
    """One recorded result and what follows from it."""

    seq: int
    attempt: int
    outcome: Outcome
    maybe_duplicate: bool
    code: int
    enhanced: str
    text: str
    relay: str
    at: float
    """Wall clock of the reply, seconds since the epoch."""
    retry: Retry | None

    @property
    def state(self) -> Outcome:
        """The count of R1 that the recipient belongs to after this fact."""
        return Outcome.DEFERRED if self.retry is not None else self.outcome
