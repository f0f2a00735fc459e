"""Reads the ledger for people: every attempt with its recipient's address, and later events.

By windows of the primary key, each of which is read to its end: no cursor and no transaction
stays open while the reader of the output takes its time.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Final, NamedTuple

import orjson

from campaignd.model import Outcome
from campaignd.store import feedback
from campaignd.store.db import Database
from campaignd.store.feedback import Happened
from campaignd.store.sql import outcomes as sql

WINDOW: Final = 1_024
"""Recipients read at once: some 10 ms, and 1 MB with the longest responses."""


class Line(NamedTuple):
    """One attempt."""

    shard: int
    seq: int
    address: str
    attempt: int
    outcome: Outcome
    maybe_duplicate: bool
    code: int
    enhanced: str
    at: float
    """Epoch seconds."""
    host: str
    relay: str
    response: str
    events: Sequence[Happened] = ()
    """What happened to the recipient later; on the last of their lines."""


async def attempts(
    db: Database, campaign: int, outcome: Outcome | None = None
) -> AsyncIterator[list[Line]]:
    """All attempts of a campaign, or those with this outcome, by recipient and attempt, some
    at a time."""
    async with db.statement() as tx:
        shards = [(int(row[0]), int(row[1])) for row in await tx.fetch(sql.SHARDS, (campaign,))]
    for shard, size in shards:
        for above in range(0, size, WINDOW):
            lines = await _window(db, campaign, shard, above, above + WINDOW, outcome)
            if lines:
                yield lines


async def attempts_at(
    db: Database, campaign: int, key: bytes, outcome: Outcome | None = None
) -> list[Line] | None:
    """The attempts at one recipient, by its address key; None if it is not in the audience."""
    async with db.statement() as tx:
        place = await tx.one(sql.PLACE, (campaign, key))
    if place is None:
        return None
    shard, seq = int(place[0]), int(place[1])
    return await _window(db, campaign, shard, seq - 1, seq, outcome)


async def _window(
    db: Database, campaign: int, shard: int, above: int, upto: int, outcome: Outcome | None
) -> list[Line]:
    value = None if outcome is None else outcome.value
    lines: list[Line] = []
    async with db.statement() as tx:
        rows = tx.stream(sql.ATTEMPTS, (campaign, shard, above, upto, value, value))
        async for (packed,) in rows:
            for seq, address, attempt, result, marked, *rest in orjson.loads(packed):
                lines.append(
                    Line(shard, seq, address, attempt, Outcome(result), bool(marked), *rest)
                )
        events = await feedback.window(tx, campaign, shard, above, upto) if lines else {}
    lines.sort()
    return _with_events(lines, events) if events else lines


def _with_events(lines: list[Line], events: dict[int, list[Happened]]) -> list[Line]:
    """Each recipient's events on the last of their lines, so that nobody counts them twice."""
    last = {line.seq: place for place, line in enumerate(lines)}
    for seq, happened in events.items():
        if seq in last:
            lines[last[seq]] = lines[last[seq]]._replace(events=happened)
    return lines
