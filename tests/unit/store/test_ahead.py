"""Batches that are inserted ahead of their turn: the order, and what happens to those that fail."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import cast

import pymysql.err
import pytest

from campaignd.errors import StoreOutage, UsageError
from campaignd.model import SHARD_SIZE
from campaignd.store import ahead, patience
from campaignd.store.ahead import TextBatch, insert_statements
from campaignd.store.audience import Loader, Progress, Recipient
from campaignd.store.db import Database
from campaignd.store.query import key_of, keyed_text, recipient


class Server:
    """Keeps what is committed. Its INSERTs take so many seconds in turn; `weather` is how many of
    them meet a deadlock."""

    def __init__(self) -> None:
        self.rows: dict[bytes, tuple[int, int]] = {}
        self.commits: list[list[bytes]] = []
        self.delays: Iterator[float] = itertools.cycle((0.003, 0.001))
        self.begun = 0
        self.inserting = 0
        self.most_inserting = 0
        self.weather = 0
        self.cancelled = False

    @asynccontextmanager
    async def transaction(self, *, timeout: float) -> AsyncIterator[Session]:
        session = Session(self)
        self.begun += 1
        self.inserting += 1
        self.most_inserting = max(self.most_inserting, self.inserting)
        try:
            yield session
        finally:
            self.inserting -= 1
        self.rows |= session.rows
        self.commits.append(list(session.rows))


class Session:
    def __init__(self, server: Server) -> None:
        self.server = server
        self.rows: dict[bytes, tuple[int, int]] = {}

    async def execute(self, statement: str | bytes, args: object = None) -> int:
        text = statement.decode() if isinstance(statement, bytes) else statement
        if "INSERT INTO recipients" in text:
            await asyncio.sleep(next(self.server.delays))
            if self.server.weather:
                self.server.weather -= 1
                raise StoreOutage("deadlock")
            for shard, seq, rest in re.findall(r"\(1,(\d+),(\d+),([^()]*)\)", text):
                key = bytes.fromhex(re.findall(r"x'(\w+)'", rest)[0])
                if key in self.server.rows:
                    raise pymysql.err.IntegrityError(1062, "Duplicate entry")
                self.rows[key] = (int(shard), int(seq))
        return 1

    async def one(self, statement: str, args: object = None) -> tuple[int] | None:
        return None if self.server.cancelled else (1,)

    async def fetch(self, statement: str, args: object = None) -> list[tuple[bytes]]:
        return [(key,) for key in self.server.rows if key.hex() in statement]


def key(number: int) -> bytes:
    return number.to_bytes(16, "big")


def batch(numbers: Sequence[int], told: list[list[int]]) -> TextBatch:
    texts = [keyed_text(f"{number}@b.de", key(number), b"[]") for number in numbers]

    def settle(known: Iterable[Recipient]) -> None:
        told.append([line for line, *_ in known])

    def recipients() -> dict[bytes, Recipient]:
        found = [recipient(line, text) for line, text in zip(numbers, texts, strict=True)]
        return {one[1]: one for one in found}

    by_key = {key_of(text): text for text in texts}
    return TextBatch(by_key, len(texts), 0, 0, ["x"], recipients, settle)


def store(server: Server, batches: Sequence[Sequence[int]]) -> tuple[Progress, list[list[int]]]:
    told: list[list[int]] = []

    async def source() -> AsyncGenerator[TextBatch]:
        for numbers in batches:
            yield batch(numbers, told)

    async def main() -> Progress:
        database = cast(Database, server)
        loader = Loader(database, 1, Progress())
        seen: list[int] = []
        await ahead.store(
            database, 1, loader, source(), lambda: 0.0, lambda now: seen.append(now.input_rows)
        )
        assert seen == sorted(seen)
        return loader.progress

    return asyncio.run(main()), told


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "PAUSE", 0.0)


def numbers_are_dense(server: Server) -> bool:
    """Whether the rows are numbered from 1 on in the order of their keys."""
    found = [server.rows[one] for one in sorted(server.rows)]
    return found == [(n // SHARD_SIZE, n % SHARD_SIZE + 1) for n in range(len(found))]


def test_two_at_a_time_and_committed_in_order() -> None:
    server = Server()
    progress, told = store(server, [range(n * 10, n * 10 + 10) for n in range(6)])
    assert progress == Progress(60, 60, 0, 0)
    assert server.most_inserting == ahead.INSERTERS == 2
    assert [len(one) for one in server.commits] == [10] * 6
    assert server.begun == 6, "the slower of two is waited for, not overtaken"
    assert server.commits == sorted(server.commits)
    assert numbers_are_dense(server)
    assert told == []


def test_known_addresses_are_left_out_and_leave_no_gap() -> None:
    server = Server()
    batches = [range(10), [0, *range(10, 19)], range(19, 30), [*range(30, 40), 12], range(40, 50)]
    progress, told = store(server, batches)
    assert progress == Progress(50, 52, 0, 2)
    assert sorted(line for lines in told for line in lines) == [0, 12]
    assert numbers_are_dense(server)


def test_what_was_ahead_of_a_batch_that_shrinks_is_numbered_anew() -> None:
    server = Server()
    # The fourth, which shrinks, takes so long that the fifth is inserted meanwhile.
    server.delays = itertools.chain((0.001, 0.001, 0.001, 0.02), itertools.repeat(0.001))
    batches = [range(10), range(10, 20), range(20, 30), [*range(30, 40), 5], range(40, 50)]
    progress, told = store(server, batches)
    assert progress == Progress(50, 51, 0, 1)
    assert [lines for lines in told if lines] == [[5]]
    assert server.most_inserting == 2
    assert numbers_are_dense(server)


def test_a_deadlock_is_done_again_in_its_turn() -> None:
    server = Server()
    server.weather = 2
    progress, told = store(server, [range(n * 10, n * 10 + 10) for n in range(4)])
    assert progress == Progress(40, 40, 0, 0)
    assert numbers_are_dense(server)
    assert all(lines == [] for lines in told)


def test_an_outage_that_lasts_ends_it() -> None:
    server = Server()
    server.weather = 100
    with pytest.raises(StoreOutage):
        store(server, [range(10), range(10, 20)])
    assert not server.rows


def test_a_cancelled_campaign_ends_it() -> None:
    server = Server()
    server.cancelled = True
    with pytest.raises(UsageError, match="was cancelled"):
        store(server, [range(10), range(10, 20), range(20, 30)])
    assert not server.rows


def test_statements_are_cut_at_their_size_and_at_shards() -> None:
    texts = [keyed_text(f"{n}@b.de", key(n), b"[]") for n in range(1_200)]
    total = 2 * SHARD_SIZE - 100
    found = [
        [(int(shard), int(seq)) for shard, seq in re.findall(rb"\(3,(\d+),(\d+),x'", statement)]
        for statement in insert_statements(3, total, texts)
    ]
    assert [len(one) for one in found] == [100, 500, 500, 100]
    assert [number for one in found for number in one] == [
        (n // SHARD_SIZE, n % SHARD_SIZE + 1) for n in range(total, total + len(texts))
    ]
