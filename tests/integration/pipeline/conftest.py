"""One migrated database for all tests of this folder: each test has campaigns of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from campaignd.config import Config, MySQL
from campaignd.sandbox.box import Sandbox
from campaignd.store import schema
from campaignd.store.db import Database
from tests.integration.pipeline.small import RunWork, Work


@pytest.fixture(scope="session")
def pipeline_url(sandbox: Sandbox) -> Iterator[str]:
    url = sandbox.create_database("pipeline")

    async def migrate() -> None:
        async with connected(url) as db:
            await schema.migrate(db)

    asyncio.run(migrate())
    yield url
    sandbox.drop_database("pipeline")


@pytest.fixture
def with_store(pipeline_url: str) -> RunWork:
    """Runs a coroutine function with a Database."""

    def run(work: Work) -> None:
        async def main() -> None:
            async with connected(pipeline_url) as db:
                await work(db)

        asyncio.run(main())

    return run


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Database]:
    async with Database(Config(mysql=MySQL(url=url)).mysql_target()) as db:
        yield db
