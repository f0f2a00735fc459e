"""What came back of what was accepted, in figures: what the brakes ask.

Never more than the receivers told us in time: bounces take minutes, complaints hours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from campaignd.store.db import Database
from campaignd.store.sql import aftermath as sql


class Bounced(NamedTuple):
    """Recipients of one campaign whose address turned out to be bad after the acceptance."""

    recipients: int
    worst: int
    """How many of them are at the destination domain that has most."""


async def accepted(db: Database, campaigns: Sequence[int]) -> dict[int, int]:
    """How many recipients of each campaign have been reached, over all hosts."""
    if not campaigns:
        return {}
    async with db.statement() as tx:
        rows = await tx.fetch(sql.REACHED, (tuple(campaigns),))
    return {int(campaign): int(count) for campaign, count in rows}


async def bounced(db: Database, since: Mapping[int, float]) -> dict[int, Bounced]:
    """Of messages of these campaigns that were accepted since then (epoch seconds); campaigns
    without any are absent."""
    if not since:
        return {}
    statement = "UNION ALL".join([sql.BOUNCED] * len(since))
    arguments = [value for campaign, at in since.items() for value in (campaign, at, campaign, at)]
    async with db.statement() as tx:
        rows = await tx.fetch(statement, arguments)
    return {int(row[0]): Bounced(int(row[1]), int(row[2])) for row in rows if row[1]}


async def complained(db: Database, since: Mapping[int, float]) -> dict[int, int]:
    """Complaints about messages of these campaigns that were accepted since then (epoch seconds);
    campaigns without any are absent."""
    if not since:
        return {}
    statement = "UNION ALL".join([sql.COMPLAINED] * len(since))
    arguments = [value for campaign, at in since.items() for value in (campaign, campaign, at)]
    async with db.statement() as tx:
        rows = await tx.fetch(statement, arguments)
    return {int(campaign): int(count) for campaign, count in rows if count}
