"""What the MySQL server says of itself."""

from __future__ import annotations

from typing import NamedTuple

from campaignd.store.db import Database
from campaignd.store.sql import server as sql


class About(NamedTuple):
    """`durable`: a committed transaction survives a crash of the machine."""

    version: str
    durable: bool
    read_only: bool


async def about(db: Database) -> About:
    """Raises StoreOutage or UsageError."""
    async with db.statement() as tx:
        row = await tx.one(sql.ABOUT)
    version, flush, read_only = row or ("?", 1, 0)
    return About(str(version), int(flush) == 1, bool(read_only))
