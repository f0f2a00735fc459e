"""Batches that meet weather: what is tried again, and what is told only once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import cast

import pymysql.err
import pytest

from campaignd.errors import StoreOutage
from campaignd.store import patience
from campaignd.store.audience import Batch, Loader, Progress, Recipient
from campaignd.store.db import Database

KEYS = [bytes([n]) * 16 for n in range(3)]
BATCH = Batch({key: (n, key, f"{n}@b.de", b"[]") for n, key in enumerate(KEYS)}, 5, 2, 0, ["x"])


class FakeDatabase:
    """Transactions that end as they are told: None commits, an outage is raised at the commit.
    `known` are the keys that its table has already."""

    def __init__(self, ends: Sequence[StoreOutage | None], known: Sequence[bytes] = ()) -> None:
        self.ends = list(ends)
        self.known = known
        self.inserts: list[str] = []
        self.lookups = 0

    @asynccontextmanager
    async def transaction(self, *, timeout: float) -> AsyncIterator[FakeDatabase]:
        yield self
        if (end := self.ends.pop(0)) is not None:
            raise end

    async def one(self, statement: str, args: object = None) -> tuple[int]:
        return (1,)

    async def fetch(self, statement: str, args: object = None) -> list[tuple[bytes]]:
        self.lookups += 1
        return [(key,) for key in self.known]

    async def execute(self, statement: str, args: object = None) -> int:
        if statement.startswith("\nINSERT INTO recipients"):
            self.inserts.append(statement)
            if any(key.hex() in statement for key in self.known):
                raise pymysql.err.IntegrityError(1062, "Duplicate entry")
        return 1


def add(database: FakeDatabase, times: int = 1) -> tuple[Progress, list[list[Recipient]]]:
    settled: list[list[Recipient]] = []

    def settle(known: Iterable[Recipient]) -> None:
        settled.append(list(known))

    async def main() -> Progress:
        loader = Loader(cast(Database, database), 1, Progress())
        for _ in range(times):
            await loader.add(BATCH, 0.0, settle)
        return loader.progress

    return asyncio.run(main()), settled


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "PAUSE", 0.0)


def test_a_batch() -> None:
    assert add(FakeDatabase([None])) == (Progress(3, 5, 2, 0), [[]])


def test_a_known_address_is_left_out() -> None:
    database = FakeDatabase([None], known=KEYS[1:2])
    progress, settled = add(database)
    assert progress == Progress(2, 5, 2, 1)
    assert settled == [[BATCH.recipients[KEYS[1]]]]
    assert len(database.inserts) == 2
    assert "(1,0,2,'2@b.de'" in database.inserts[-1]


def test_after_a_known_address_it_looks_first() -> None:
    database = FakeDatabase([None, None], known=KEYS[:1])
    assert add(database, 2)[0] == Progress(4, 10, 4, 2)
    assert len(database.inserts) == 3
    assert database.lookups == 2


def test_a_deadlock_is_tried_again_and_told_once() -> None:
    database = FakeDatabase([StoreOutage("deadlock"), StoreOutage("deadlock"), None], KEYS[:1])
    progress, settled = add(database)
    assert progress == Progress(2, 5, 2, 1)
    assert settled == [[BATCH.recipients[KEYS[0]]]]


@pytest.mark.parametrize(
    "ends", [[StoreOutage("gone", ambiguous=True)], [StoreOutage("deadlock")] * 3]
)
def test_an_outage_that_lasts_or_may_have_committed_is_raised(ends: list[StoreOutage]) -> None:
    database = FakeDatabase(ends)
    with pytest.raises(StoreOutage):
        add(database)
    assert database.ends == []
