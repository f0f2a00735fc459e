"""How much work campaigns have left, as `status` needs it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from campaignd.store.db import Database
from campaignd.store.sql import standing as sql


class Work(NamedTuple):
    """Of one campaign."""

    open: int = 0
    """Shards that are not finished."""
    due: int = 0
    """Those of them with something to do now, held by a host or not."""
    next_due: float | None = None
    """When the first of the open shards has, or had, something to do (epoch seconds)."""


NO_WORK = Work()


async def left(db: Database, campaigns: Sequence[int], now: float) -> dict[int, Work]:
    """The work left at `now` (epoch seconds); campaigns with none are absent."""
    if not campaigns:
        return {}
    async with db.statement() as tx:
        rows = await tx.fetch(sql.LEFT, (now, tuple(campaigns)))
    return {int(row[0]): Work(int(row[1]), int(row[2]), float(row[3])) for row in rows}
