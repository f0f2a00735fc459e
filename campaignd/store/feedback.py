"""What is learnt about a message after its outcome, beside the ledger.

An event never changes an outcome or a count of R1: the receiver did accept the message. There is
at most one of each kind for a recipient, and its suppression is in the same transaction.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import pymysql.err
from pymysql.constants import ER

from campaignd.smtp.bounces import SOFT, classify
from campaignd.store import bounces, suppressions
from campaignd.store.bounces import Failure, RunLimits
from campaignd.store.db import Database, Transaction
from campaignd.store.sql import feedback as sql
from campaignd.tokens import RecipientId

MAX_SOURCE: Final = 64
MAX_ENHANCED: Final = 12
MAX_DETAIL: Final = 500
"""Characters, as the columns have them."""


class Event(enum.StrEnum):
    """What a recipient, or the receiver behind the one that accepted, did with a message."""

    BOUNCED = "bounced"
    COMPLAINED = "complained"
    UNSUBSCRIBED = "unsubscribed"


NUMBERS: Final[Mapping[Event, int]] = {
    Event.BOUNCED: 1,
    Event.COMPLAINED: 2,
    Event.UNSUBSCRIBED: 3,
}
"""As they are stored: never renumber."""

_EVENTS: Final = {number: event for event, number in NUMBERS.items()}


class Feedback(NamedTuple):
    """One notice about one recipient of one campaign."""

    event: Event
    recipient: RecipientId
    at: float
    """When it happened, epoch seconds."""
    source: str
    """Who says so, such as `dsn` or the name of a webhook."""
    enhanced: str = ""
    """The enhanced status code (RFC 3463) of a bounce, such as `5.1.1`."""
    detail: str = ""
    """The words that came with it."""
    permanent: bool = True
    """Of a bounce: whether the address is bad for good, and so is suppressed."""


class Taken(enum.Enum):
    """What became of a notice."""

    RECORDED = "recorded"
    REPEATED = "repeated"
    """It was known before."""
    NO_CAMPAIGN = "no-campaign"
    """The campaign was purged: the address cannot be known any more."""
    NO_RECIPIENT = "no-recipient"


class Happened(NamedTuple):
    """An event of one recipient, as `outcomes` shows it."""

    event: Event
    at: float
    """Epoch seconds."""
    source: str
    enhanced: str
    detail: str


class EventCounts(NamedTuple):
    """Recipients of one campaign, by event."""

    bounced: int = 0
    complained: int = 0
    unsubscribed: int = 0


NO_EVENTS: Final = EventCounts()


async def take(
    db: Database, feedback: Feedback, now: float, limits: RunLimits = bounces.NO_RUNS
) -> Taken:
    """Records the event and suppresses the address in the campaign's account, in one transaction:
    when this returns, both are durable. `now` is epoch seconds. Safe to repeat. A bounce that may
    pass, such as a full mailbox, suppresses at the end of a run (`limits`).

    A repeated notice suppresses again: who unsubscribes once more, after having been let in again,
    means it. Raises StoreOutage, also for a commit that may have happened, and UsageError.
    """
    async with db.transaction() as tx:
        row = await tx.one(sql.RECIPIENT, feedback.recipient)
        if row is None:
            campaign = await tx.one(sql.CAMPAIGN, (feedback.recipient.campaign,))
            return Taken.NO_CAMPAIGN if campaign is None else Taken.NO_RECIPIENT
        account, address = row
        if account is None:
            return Taken.NO_CAMPAIGN
        taken = Taken.RECORDED if await _add(tx, feedback, now) else Taken.REPEATED
        if feedback.permanent or feedback.event is not Event.BOUNCED:
            await suppressions.suppress_many_in(
                tx, [(str(account), str(address), feedback.event.value)], now
            )
        elif classify(0, feedback.enhanced, feedback.detail) in SOFT:
            at = min(max(feedback.at, 1.0), now)
            failure = Failure(str(account), feedback.recipient.campaign, str(address), at, False)
            await bounces.follow_in(tx, [failure], limits)
    return taken


async def _add(tx: Transaction, feedback: Feedback, now: float) -> bool:
    """Whether it says anything new."""
    key = (*feedback.recipient, NUMBERS[feedback.event])
    told = (
        min(max(feedback.at, 1.0), now),  # whoever says it may have a wrong clock
        now,
        feedback.source[:MAX_SOURCE],
        feedback.enhanced[:MAX_ENHANCED],
        feedback.detail[:MAX_DETAIL],
    )
    try:
        await tx.execute(sql.ADD, (*key, feedback.permanent, *told))
    except pymysql.err.IntegrityError as error:
        if error.args[0] != ER.DUP_ENTRY:
            raise
    else:
        return True
    return feedback.permanent and await tx.execute(sql.WORSEN, (*told, *key)) > 0


async def counts(db: Database, campaigns: Sequence[int]) -> dict[int, EventCounts]:
    """By campaign; those without an event are absent."""
    if not campaigns:
        return {}
    found: dict[int, EventCounts] = {}
    async with db.statement() as tx:
        for campaign, number, count in await tx.fetch(sql.COUNTS, (tuple(campaigns),)):
            so_far = found.get(int(campaign), NO_EVENTS)
            found[int(campaign)] = so_far._replace(**{_EVENTS[int(number)].value: int(count)})
    return found


async def window(
    tx: Transaction, campaign: int, shard: int, above: int, upto: int
) -> dict[int, list[Happened]]:
    """The events of the recipients above `above` up to and including `upto`, by their number."""
    found: dict[int, list[Happened]] = {}
    for seq, number, at, source, enhanced, detail in await tx.fetch(
        sql.WINDOW, (campaign, shard, above, upto)
    ):
        happened = Happened(_EVENTS[int(number)], float(at), source, enhanced, detail)
        found.setdefault(int(seq), []).append(happened)
    return found
