"""Deadlines, against a Redis that answers when told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest
from redis.asyncio import Redis
from redis.exceptions import AuthenticationError
from redis.exceptions import ConnectionError as RedisConnectionError

from campaignd.errors import LeaseOutage, UsageError
from campaignd.lease.keeper import MARGIN, Leases

TTL = 10.0
SHARD = (1, 0)


class SlowRedis:
    """Its answers come `late` seconds after the request by the fake clock."""

    def __init__(self) -> None:
        self.now = 100.0
        self.late = 3.0
        self.answer: Any = True
        self.failure: Exception | None = None

    async def set(self, key: str, owner: str, *, nx: bool, px: int) -> Any:
        assert (nx, px) == (True, TTL * 1000)
        return await self._answer()

    def register_script(self, text: str) -> Callable[..., Any]:
        async def script(*, keys: list[str], args: list[Any]) -> Any:
            return await self._answer()

        return script

    async def _answer(self) -> Any:
        await asyncio.sleep(0)
        self.now += self.late
        if self.failure is not None:
            raise self.failure
        return self.answer


def leases(redis: SlowRedis) -> Leases:
    return Leases(cast(Redis, redis), "host", TTL, lambda: redis.now)


def test_a_deadline_counts_from_before_the_request() -> None:
    """R3: when the answer was long on its way, Redis has begun to count before us."""
    redis = SlowRedis()
    keeper = leases(redis)
    usable = TTL * (1 - MARGIN)
    assert asyncio.run(keeper.acquire(SHARD)) == 100.0 + usable
    redis.answer = [1]
    assert asyncio.run(keeper.renew([SHARD])) == {SHARD: 103.0 + usable}


def test_refused_or_lost() -> None:
    redis = SlowRedis()
    keeper = leases(redis)
    redis.answer = None
    assert asyncio.run(keeper.acquire(SHARD)) is None
    redis.answer = True
    asyncio.run(keeper.acquire(SHARD))
    redis.answer = [0]
    assert asyncio.run(keeper.renew([SHARD])) == {SHARD: None}


def test_nothing_to_renew_or_to_look_up_asks_nobody() -> None:
    redis = SlowRedis()
    redis.failure = RedisConnectionError("away")
    keeper = leases(redis)
    assert asyncio.run(keeper.renew([])) == {}
    assert asyncio.run(keeper.free([])) == []


@pytest.mark.parametrize("failure", [RedisConnectionError("away"), OSError("reset")])
def test_weather_is_an_outage(failure: Exception) -> None:
    redis = SlowRedis()
    redis.failure = failure
    with pytest.raises(LeaseOutage):
        asyncio.run(leases(redis).acquire(SHARD))


def test_a_refused_password_is_for_a_person() -> None:
    redis = SlowRedis()
    redis.failure = AuthenticationError("WRONGPASS")
    with pytest.raises(UsageError, match="credentials"):
        asyncio.run(leases(redis).acquire(SHARD))


def test_a_redis_that_never_answers_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("campaignd.lease.client.COMMAND_SECONDS", 0.01)

    class Silent(SlowRedis):
        async def _answer(self) -> Any:
            await asyncio.Event().wait()

    with pytest.raises(LeaseOutage, match="did not answer"):
        asyncio.run(leases(Silent()).acquire(SHARD))
