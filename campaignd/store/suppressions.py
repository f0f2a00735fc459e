"""Addresses that must not be written to, by their key (the MD5 of the stored address).

An account's suppressions hold for its own campaigns; those of the account '' hold for all.
"""

from __future__ import annotations

from campaignd.store.db import Database
from campaignd.store.sql import campaigns as sql


async def add(db: Database, account: str, key: bytes, reason: str, now: float) -> None:
    """Suppresses an address from `now` (epoch seconds) on; repeating it updates the reason."""
    async with db.statement() as tx:
        await tx.execute(sql.SUPPRESS, (account, key, reason, now, reason))


async def remove(db: Database, account: str, key: bytes) -> bool:
    """Lifts a suppression; False if there was none."""
    async with db.statement() as tx:
        return await tx.execute(sql.UNSUPPRESS, (account, key)) > 0


async def find(db: Database, account: str, key: bytes) -> str | None:
    """Why the account must not write to this address, or None if it may."""
    async with db.statement() as tx:
        row = await tx.one(sql.SUPPRESSED, (account, key))
    return None if row is None else str(row[0])
