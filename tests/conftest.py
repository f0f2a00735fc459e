"""What every test may use: one sandbox for the whole run, a fresh database for each test.

Nothing starts before a test asks for it, so unit tests need no servers.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator

import pytest
from hypothesis import settings

from campaignd.config import Config, MySQL
from campaignd.sandbox.box import Sandbox
from campaignd.store import schema
from campaignd.store.db import Database

_numbers = itertools.count(1)

settings.register_profile("tests", deadline=None)  # no test asserts a speed
settings.load_profile("tests")


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """Servers that all tests share. A test that kills or freezes one starts its own."""
    with Sandbox() as box:
        yield box


@pytest.fixture
def migrate() -> Callable[[str], None]:
    """Puts the schema into the empty database at a URL. Override it to test without one."""

    async def main(url: str) -> None:
        async with Database(Config(mysql=MySQL(url=url)).mysql_target(), connections=1) as db:
            await schema.migrate(db)

    return lambda url: asyncio.run(main(url))


@pytest.fixture
def database(sandbox: Sandbox, migrate: Callable[[str], None]) -> Iterator[str]:
    """The URL of a migrated database that only this test uses."""
    name = f"test_{next(_numbers)}"
    url = sandbox.create_database(name)
    migrate(url)
    yield url
    sandbox.drop_database(name)
