"""A database of its own for every test of this folder."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from campaignd.config import Config, MySQL
from campaignd.sandbox.box import Sandbox
from campaignd.store import schema
from campaignd.store.db import Database

Work = Callable[[Database], Coroutine[Any, Any, None]]

_numbers = itertools.count(1)


@pytest.fixture
def empty_url(sandbox: Sandbox) -> Iterator[str]:
    """URL of a database without tables."""
    name = f"store_{next(_numbers)}"
    yield sandbox.create_database(name)
    sandbox.drop_database(name)


@pytest.fixture
def with_empty(empty_url: str) -> Callable[[Work], None]:
    """Runs a coroutine function with a Database that has no tables."""

    def run(work: Work) -> None:
        async def main() -> None:
            async with Database(Config(mysql=MySQL(url=empty_url)).mysql_target()) as db:
                await work(db)

        asyncio.run(main())

    return run


@pytest.fixture
def with_store(with_empty: Callable[[Work], None]) -> Callable[[Work], None]:
    """Runs a coroutine function with a Database that is migrated."""

    def run(work: Work) -> None:
        async def migrated(db: Database) -> None:
            await schema.migrate(db)
            await work(db)

        with_empty(migrated)

    return run


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:  # TEMPORARY until tests/conftest.py has it
    with Sandbox() as box:
        yield box
