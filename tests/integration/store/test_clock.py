"""The store's clock against a real server."""

from __future__ import annotations

import asyncio
import time

from campaignd.config import Config, MySQL
from campaignd.store.clock import StoreClock
from campaignd.store.db import Database


def test_goes_by_the_server_whatever_the_host_says(database: str) -> None:
    async def main() -> None:
        async with Database(Config(mysql=MySQL(url=database)).mysql_target()) as db:
            clock = StoreClock(wall=lambda: time.time() + 3_600)
            assert clock() > time.time() + 3_500
            await clock.ask(db)
            assert abs(clock() - time.time()) < 5

    asyncio.run(main())


def test_a_late_answer_is_not_believed(database: str) -> None:
    async def main() -> None:
        async with Database(Config(mysql=MySQL(url=database)).mysql_target()) as db:
            ticks = iter([0.0, 10.0, 60.0, 60.0])
            clock = StoreClock(wall=lambda: 1_000.0, monotonic=lambda: next(ticks))
            await clock.ask(db)
            assert clock() == 1_060.0

    asyncio.run(main())
