"""Lists on a migrated database of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from campaignd.config import Config, MySQL
from campaignd.store.db import Database

Work = Callable[[Database], Coroutine[Any, Any, None]]


@pytest.fixture
def with_store(database: str) -> Callable[[Work], None]:
    """Runs a coroutine function with a Database."""

    def run(work: Work) -> None:
        async def main() -> None:
            async with Database(Config(mysql=MySQL(url=database)).mysql_target()) as db:
                await work(db)

        asyncio.run(main())

    return run
