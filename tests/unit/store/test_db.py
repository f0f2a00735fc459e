"""What a Database does by itself, on a pool that connects to nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from campaignd.config import Config
from campaignd.errors import StoreOutage
from campaignd.store.db import Database


class _Pool:
    """Connects for ever, and loses the cancellation that ends this."""

    def __init__(self) -> None:
        self.connecting = asyncio.Event()
        self.released: list[Any] = []

    async def acquire(self) -> _Pool:
        self.connecting.set()
        try:
            await asyncio.sleep(3_600)
        except asyncio.CancelledError:
            return self
        raise AssertionError

    def release(self, connection: _Pool) -> None:
        self.released.append(connection)

    def close(self) -> None:
        pass


async def _use(pool: _Pool, monkeypatch: pytest.MonkeyPatch, timeout: float) -> None:
    db = Database(Config().mysql_target())

    async def opened() -> Any:
        return pool

    monkeypatch.setattr(db, "_open", opened)
    async with db.statement(timeout=timeout):
        raise AssertionError("nobody wants this connection any more")


def test_a_cancellation_that_the_driver_loses_is_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        pool = _Pool()
        task = asyncio.create_task(_use(pool, monkeypatch, 60.0))
        await pool.connecting.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert pool.released == [pool]

    asyncio.run(main())


def test_so_is_a_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        with pytest.raises(StoreOutage, match=r"did not answer within 0.01 s"):
            await _use(_Pool(), monkeypatch, 0.01)

    asyncio.run(main())
