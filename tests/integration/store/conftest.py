"""How the tests of this folder reach their database."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from campaignd.config import Config, MySQL
from campaignd.sandbox.box import Sandbox
from campaignd.store.db import Database

Work = Callable[[Database], Coroutine[Any, Any, None]]

_numbers = itertools.count(1)


@pytest.fixture
def empty_database(sandbox: Sandbox) -> Iterator[str]:
    """URL of a database without tables."""
    name = f"empty_{next(_numbers)}"
    yield sandbox.create_database(name)
    sandbox.drop_database(name)


@pytest.fixture
def with_empty(empty_database: str) -> Callable[[Work], None]:
    """Runs a coroutine function with a Database that has no tables."""
    return lambda work: _run(empty_database, work)


@pytest.fixture
def with_store(database: str) -> Callable[[Work], None]:
    """Runs a coroutine function with a Database that is migrated and otherwise empty."""
    return lambda work: _run(database, work)


def _run(url: str, work: Work) -> None:
    async def main() -> None:
        async with Database(Config(mysql=MySQL(url=url)).mysql_target()) as db:
            await work(db)

    asyncio.run(main())
