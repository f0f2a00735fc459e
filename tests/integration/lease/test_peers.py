"""Heartbeats and wake-ups through a real Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from redis.asyncio import Redis

from campaignd.config import RedisTarget
from campaignd.errors import LeaseOutage
from campaignd.lease import client, peers
from campaignd.lease.peers import Peers
from campaignd.sandbox.box import Sandbox

Work = Callable[[Redis], Coroutine[Any, Any, None]]


@pytest.fixture
def with_redis(sandbox: Sandbox) -> Callable[[Work], None]:
    """Runs a coroutine function with a client of an empty Redis."""

    def run(work: Work) -> None:
        async def main() -> None:
            redis = client.connect(RedisTarget(sandbox.redis.url, None))
            try:
                await redis.flushall()
                await work(redis)
            finally:
                await redis.aclose()

        asyncio.run(main())

    return run


def test_hosts_see_each_other(with_redis: Callable[[Work], None]) -> None:
    async def work(redis: Redis) -> None:
        talk = Peers(redis)
        assert await talk.reports() == {}
        assert await talk.beat("two", {"slots": 3, "shards": {"7": 1}}) == ["two"]
        assert await talk.beat("one", {"slots": 5}) == ["one", "two"]
        await talk.beat("one", {"slots": 6})
        assert await talk.reports() == {
            "one": {"slots": 6},
            "two": {"slots": 3, "shards": {"7": 1}},
        }
        await talk.leave("two")
        assert await talk.reports() == {"one": {"slots": 6}}

    with_redis(work)


def test_a_silent_host_is_forgotten(
    with_redis: Callable[[Work], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(redis: Redis) -> None:
        talk = Peers(redis)
        monkeypatch.setattr(peers, "ALIVE_SECONDS", 0.05)
        await talk.beat("silent", {})
        monkeypatch.setattr(peers, "ALIVE_SECONDS", 0.05)
        async with asyncio.timeout(10):
            while "silent" in await talk.beat("other", {}):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert "silent" not in await talk.reports()

    with_redis(work)


def test_a_wake_up_reaches_who_listens(with_redis: Callable[[Work], None]) -> None:
    async def work(redis: Redis) -> None:
        talk, woken = Peers(redis), asyncio.Event()
        listening = asyncio.create_task(talk.listen(woken))
        try:
            async with asyncio.timeout(10):
                while not woken.is_set():
                    await talk.wake(7)
                    await asyncio.sleep(0.01)
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    with_redis(work)


def test_without_redis_it_is_an_outage() -> None:
    async def main() -> None:
        redis = client.connect(RedisTarget("unix:///nowhere/redis.sock", None))
        talk = Peers(redis)
        for exchange in (
            talk.beat("one", {}), talk.reports(), talk.leave("one"), talk.wake(1),
            talk.listen(asyncio.Event()),
        ):  # fmt: skip
            with pytest.raises(LeaseOutage):
                await exchange
        await redis.aclose()

    asyncio.run(main())
