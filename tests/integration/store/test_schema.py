"""Migrations on a real server: repeated, raced, cut short, and from the future."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pymysql.err
import pytest

from campaignd.errors import UsageError
from campaignd.store import schema
from campaignd.store.db import Database
from campaignd.store.schema import Migration

Run = Callable[..., None]

ONE = Migration(
    1, ["CREATE TABLE a (x INT)", "ALTER TABLE a ADD COLUMN y INT", "CREATE TABLE b (x INT)"]
)
TWO = Migration(2, ["ALTER TABLE a ADD KEY by_y (y)"])


async def tables(db: Database) -> set[str]:
    async with db.statement() as tx:
        return {str(row[0]) for row in await tx.fetch("SHOW TABLES")}


def test_creates_everything_once(with_empty: Run) -> None:
    async def work(db: Database) -> None:
        versions = [migration.version for migration in schema.migrations()]
        assert await schema.migrate(db) == versions
        assert {"campaigns", "shards", "recipients", "ledger", "retries"} <= await tables(db)
        assert await schema.migrate(db) == []
        await schema.require_current(db)

    with_empty(work)


def test_not_migrated_or_too_old(with_empty: Run) -> None:
    async def work(db: Database) -> None:
        with pytest.raises(UsageError, match="no campaignd schema yet; run `campaignd migrate`"):
            await schema.require_current(db, [ONE])
        await schema.migrate(db, [ONE])
        await schema.require_current(db, [ONE])
        with pytest.raises(UsageError, match="older than this campaignd; run `campaignd migrate`"):
            await schema.require_current(db, [ONE, TWO])
        assert await schema.migrate(db, [ONE, TWO]) == [2]
        await schema.require_current(db, [ONE, TWO])

    with_empty(work)


def test_newer_than_the_code(with_empty: Run) -> None:
    async def work(db: Database) -> None:
        await schema.migrate(db, [ONE, TWO])
        for act in (schema.migrate, schema.require_current):
            with pytest.raises(UsageError, match="version 2, newer than this campaignd"):
                await act(db, [ONE])

    with_empty(work)


def test_two_at_once(with_empty: Run) -> None:
    async def work(db: Database) -> None:
        first, second = await asyncio.gather(schema.migrate(db), schema.migrate(db))
        assert sorted([*first, *second]) == [m.version for m in schema.migrations()]

    with_empty(work)


@pytest.mark.parametrize("recorded", [True, False])
@pytest.mark.parametrize("statement", [0, 1, 2])
def test_cut_short_after_any_statement(with_empty: Run, statement: int, recorded: bool) -> None:
    """Killed after a statement was applied, before or after that was recorded."""

    async def work(db: Database) -> None:
        await schema.migrate(db, [])
        async with db.statement() as tx:
            for text in ONE.statements[: statement + 1]:
                await tx.execute(text)
            done = statement + 1 if recorded else statement
            await tx.execute("INSERT INTO schema_version VALUES (1, %s, 0)", (done,))
        with pytest.raises(UsageError, match="older"):
            await schema.require_current(db, [ONE])
        assert await schema.migrate(db, [ONE]) == [1]
        await schema.require_current(db, [ONE])
        assert {"a", "b"} <= await tables(db)

    with_empty(work)


def test_a_table_in_the_way_is_not_taken_for_our_own(with_empty: Run) -> None:
    async def work(db: Database) -> None:
        async with db.statement() as tx:
            await tx.execute("CREATE TABLE a (other INT)")
        with pytest.raises(pymysql.err.MySQLError, match="already exists"):
            await schema.migrate(db, [ONE])

    with_empty(work)
