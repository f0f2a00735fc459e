"""Campaigns in MySQL: their records, their states and the transitions between them.

Times are epoch seconds; `now` is passed in. What a campaign may do next is the table
`TRANSITIONS`; every change of state is one UPDATE that only matches the states it may start
from, so two commands at once cannot both succeed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import pymysql.err

from campaignd.errors import TransitionError, UsageError
from campaignd.model import CampaignState, Counts
from campaignd.store import audience
from campaignd.store.db import Database, Row
from campaignd.store.sql import campaigns as sql

_FIRST_PAGE: Final = 2**63
"""Above every id."""


class Transition(NamedTuple):
    sources: tuple[CampaignState, ...]
    target: CampaignState


_S = CampaignState
TRANSITIONS: Final[dict[str, Transition]] = {
    "start": Transition((_S.DRAFT, _S.SCHEDULED), _S.RUNNING),
    "pause": Transition((_S.RUNNING,), _S.PAUSED),
    "resume": Transition((_S.PAUSED,), _S.RUNNING),
    "cancel": Transition((_S.LOADING, _S.DRAFT, _S.SCHEDULED, _S.RUNNING, _S.PAUSED), _S.CANCELLED),
}


class Campaign(NamedTuple):
    """A campaign's row, without its templates."""

    id: int
    account: str
    key: str | None
    name: str
    state: CampaignState
    reason: str
    """Why it is in this state, such as "paused by anna@ops1"; may be empty."""
    total: int
    input_rows: int
    invalid_rows: int
    duplicate_rows: int
    created_at: float
    starts_at: float | None
    started_at: float | None
    finished_at: float | None


class CampaignSummary(NamedTuple):
    """A campaign and its counts, from one consistent read (R1)."""

    campaign: Campaign
    counts: Counts
    maybe_duplicates: int


class Existing(NamedTuple):
    """The campaign that a repeated enqueue key finds."""

    campaign: Campaign
    fingerprint: str
    fields: str
    """JSON array of the audience's field names."""


def possible(state: CampaignState) -> list[str]:
    """The commands that a campaign in this state obeys."""
    return [name for name, transition in TRANSITIONS.items() if state in transition.sources]


def refusal(campaign: int, state: CampaignState) -> str:
    """One line: what the state is and what can be done in it."""
    commands = possible(state)
    if commands:
        return f"campaign {campaign} is {state}; possible now: {', '.join(commands)}"
    return f"campaign {campaign} is {state}; it can only be read: status, outcomes"


async def create(
    db: Database, *, account: str, name: str, spec: bytes, key: str | None, fingerprint: str,
    now: float,
) -> int:  # fmt: skip
    """Creates a campaign in state `loading`; returns its id.

    Raises UsageError if the account already has a campaign with this key.
    """
    arguments = (account, key, name, spec.decode("utf-8"), fingerprint, now)
    async with db.statement() as tx:
        try:
            return await tx.insert(sql.CREATE, arguments)
        except pymysql.err.IntegrityError:
            taken = f"account {account} has a campaign with the key {key!r} already"
            raise UsageError(taken) from None


async def get(db: Database, campaign: int) -> Campaign:
    """Raises UsageError if there is no such campaign."""
    async with db.statement() as tx:
        row = await tx.one(sql.GET, (campaign,))
    if row is None:
        raise UsageError(f"there is no campaign {campaign}; `campaignd status` lists them")
    return _campaign(row)


async def by_key(db: Database, account: str, key: str) -> Existing | None:
    """The account's campaign that was enqueued with this key."""
    async with db.statement() as tx:
        row = await tx.one(sql.BY_KEY, (account, key))
    return None if row is None else Existing(_campaign(row), str(row[14]), str(row[15]))


async def page(
    db: Database,
    *,
    account: str | None = None,
    state: CampaignState | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[Campaign]:
    """Campaigns, the newest first; `before` is the last id of the previous page."""
    value = None if state is None else state.value
    first = _FIRST_PAGE if before is None else before
    async with db.statement() as tx:
        rows = await tx.fetch(sql.LIST, (first, account, account, value, value, limit))
    return [_campaign(row) for row in rows]


async def counts(db: Database, campaigns: Sequence[int]) -> dict[int, CampaignSummary]:
    """Summaries of the campaigns that exist, by id, all from one consistent read."""
    if not campaigns:
        return {}
    async with db.statement() as tx:
        rows = await tx.fetch(sql.SUMMARIES, (tuple(campaigns),))
    return {int(row[0]): _summary(row) for row in rows}


async def start(db: Database, campaign: int, now: float, *, reason: str = "") -> Campaign:
    """draft or scheduled -> running. Raises TransitionError from any other state."""
    return await _change(
        db, campaign, sql.START, (now, reason, campaign, TRANSITIONS["start"].sources)
    )


async def pause(db: Database, campaign: int, *, reason: str) -> Campaign:
    """running -> paused; `reason` says by whom. Raises TransitionError from any other state."""
    return await _set_state(db, campaign, "pause", reason)


async def resume(db: Database, campaign: int, *, reason: str = "") -> Campaign:
    """paused -> running. Raises TransitionError from any other state."""
    return await _set_state(db, campaign, "resume", reason)


async def cancel(db: Database, campaign: int, now: float, *, reason: str = "") -> Campaign:
    """Ends a campaign for good. One that was still loading loses its partial audience, and its
    key may be used again. Raises TransitionError if it is finished or cancelled already."""
    changed = await _change(
        db, campaign, sql.CANCEL, (now, reason, campaign, TRANSITIONS["cancel"].sources)
    )
    if changed.total == 0:
        await audience.delete(db, campaign)
    return changed


async def abandon(db: Database, campaign: int, now: float) -> None:
    """Removes a campaign whose enqueue came to nothing, and what it had loaded."""
    await cancel(db, campaign, now, reason="its enqueue failed")
    async with db.statement() as tx:
        await tx.execute(sql.DELETE, (campaign,))


async def due(db: Database, now: float) -> int:
    """Starts the scheduled campaigns whose time has come; returns how many."""
    async with db.statement() as tx:
        return await tx.execute(sql.DUE, (now, now))


async def next_start(db: Database) -> float | None:
    """When the next scheduled campaign starts, or None."""
    async with db.statement() as tx:
        row = await tx.one(sql.NEXT_START)
    return _time(row[0]) if row else None


async def _set_state(db: Database, campaign: int, command: str, reason: str) -> Campaign:
    sources, target = TRANSITIONS[command]
    return await _change(db, campaign, sql.SET_STATE, (reason, target.value, campaign, sources))


async def _change(db: Database, campaign: int, statement: str, args: tuple[Any, ...]) -> Campaign:
    sources: tuple[CampaignState, ...] = args[-1]
    async with db.transaction() as tx:
        matched = await tx.execute(statement, (*args[:-1], tuple(s.value for s in sources)))
        row = await tx.one(sql.GET, (campaign,))
    if row is None:
        raise UsageError(f"there is no campaign {campaign}; `campaignd status` lists them")
    found = _campaign(row)
    if not matched:
        raise TransitionError(refusal(campaign, found.state))
    return found


def _campaign(row: Row) -> Campaign:
    return Campaign(
        id=int(row[0]),
        account=str(row[1]),
        key=None if row[2] is None else str(row[2]),
        name=str(row[3]),
        state=CampaignState(row[4]),
        reason=str(row[5]),
        total=int(row[6]),
        input_rows=int(row[7]),
        invalid_rows=int(row[8]),
        duplicate_rows=int(row[9]),
        created_at=float(row[10]),
        starts_at=_time(row[11]),
        started_at=_time(row[12]),
        finished_at=_time(row[13]),
    )


def _summary(row: Row) -> CampaignSummary:
    campaign = _campaign(row)
    *outcomes, maybe_duplicates = (int(value) for value in row[14:21])
    pending = campaign.total - sum(outcomes)
    return CampaignSummary(campaign, Counts(campaign.total, pending, *outcomes), maybe_duplicates)


def _time(value: Any) -> float | None:
    return None if value is None else float(value)
