"""Creates and upgrades the tables, from the numbered files in `migrations/`.

MySQL commits every DDL statement by itself, so a migration cannot be one transaction. Instead
each statement's turn is recorded before and after it runs; whoever comes next repeats at most
the one statement that was under way, and an answer such as "table exists" to exactly that one
means that it had been applied. A migration that changes data must therefore be written so that
each of its statements may run twice.

Never changes a schema that a newer campaignd has made.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib import resources
from typing import Final, NamedTuple

import pymysql.err

from campaignd.errors import UsageError
from campaignd.store.db import Database, Transaction
from campaignd.store.sql import schema as sql

LOCK_SECONDS: Final = 60
"""How long to wait for another `migrate`; altering a big table takes longer than one wants to
sit in front of."""

_ALREADY: Final = frozenset({1050, 1051, 1054, 1060, 1061, 1091})
"""Table exists, unknown table or column, duplicate column or key name, nothing to drop: what a
statement answers that had been applied before."""


class Migration(NamedTuple):
    version: int
    statements: Sequence[str]


def migrations() -> list[Migration]:
    """The migrations that this campaignd knows, in order: 1, 2, 3 and so on."""
    found = []
    for file in resources.files("campaignd.store").joinpath("migrations").iterdir():
        match = re.fullmatch(r"(\d{4})_[a-z0-9_]+\.sql", file.name)
        if match:
            found.append(Migration(int(match[1]), split(file.read_text("utf-8"))))
    return sorted(found)


def split(text: str) -> list[str]:
    """The statements of a migration file: each ends with `;` at the end of a line; lines that
    start with `--` are comments."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("--")]
    parts = re.split(r";[ \t]*(?:\n|\Z)", "\n".join(lines))
    return [part.strip() for part in parts if part.strip()]


async def migrate(db: Database, known: Sequence[Migration] | None = None) -> list[int]:
    """Brings the schema up to date; returns the versions that were applied or completed.

    Safe to repeat, to race and to kill. `known` defaults to `migrations()`. Raises UsageError
    when the schema is newer than this campaignd, or another migrate holds the lock for longer
    than LOCK_SECONDS.
    """
    known = migrations() if known is None else known
    async with db.statement(timeout=None) as tx:
        if (await tx.one(sql.LOCK, (LOCK_SECONDS,))) != (1,):
            raise UsageError("another `campaignd migrate` is under way; try again when it is done")
        if not await _initialised(tx):
            await tx.execute(sql.CREATE)
        applied = await _applied(tx)
        _refuse_newer(applied, known)
        done = []
        for migration in known:
            if applied.get(migration.version) is not True:
                await _apply(tx, migration, applied.get(migration.version))
                done.append(migration.version)
        await tx.one(sql.UNLOCK)
    return done


async def require_current(db: Database, known: Sequence[Migration] | None = None) -> None:
    """Raises UsageError, saying what to do, unless the schema is exactly this campaignd's."""
    known = migrations() if known is None else known
    async with db.statement() as tx:
        applied = await _applied(tx) if await _initialised(tx) else {}
    _refuse_newer(applied, known)
    if not applied:
        raise UsageError("the database has no campaignd schema yet; run `campaignd migrate`")
    if any(applied.get(migration.version) is not True for migration in known):
        raise UsageError("the schema is older than this campaignd; run `campaignd migrate`")


async def _initialised(tx: Transaction) -> bool:
    return (await tx.one(sql.EXISTS)) == (1,)


async def _applied(tx: Transaction) -> dict[int, int | bool]:
    """By version: True when complete, else the number of statements applied."""
    return {
        int(version): True if complete else int(statements)
        for version, statements, complete in await tx.fetch(sql.APPLIED)
    }


def _refuse_newer(applied: dict[int, int | bool], known: Sequence[Migration]) -> None:
    newest = max((migration.version for migration in known), default=0)
    if max(applied, default=0) > newest:
        raise UsageError(
            f"the schema has version {max(applied)}, newer than this campaignd, which knows"
            f" version {newest}; upgrade campaignd"
        )


async def _apply(tx: Transaction, migration: Migration, resume: int | None) -> None:
    if resume is None:
        await tx.execute(sql.BEGIN, (migration.version,))
    for index, statement in enumerate(migration.statements):
        if index < (resume or 0):
            continue
        try:
            await tx.execute(statement)
        except pymysql.err.MySQLError as error:
            if not (index == resume and error.args and error.args[0] in _ALREADY):
                raise
        await tx.execute(sql.ADVANCE, (index + 1, migration.version))
    await tx.execute(sql.COMPLETE, (migration.version,))
