"""Leases in a real Redis, which the simulation's model has to be equal to."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from itertools import count
from random import Random
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from campaignd.config import RedisTarget
from campaignd.lease import client
from campaignd.lease.keeper import Leases, Shard
from campaignd.sandbox.box import Sandbox
from tests.simulation import redis as model
from tests.simulation.clock import World
from tests.simulation.weather import Weather

TTL = 60.0
_campaigns = count(1_000_000)

Work = Callable[[Redis], Coroutine[Any, Any, None]]


@pytest.fixture
def with_redis(sandbox: Sandbox) -> Callable[[Work], None]:
    """Runs a coroutine function with a client."""

    def run(work: Work) -> None:
        async def main() -> None:
            redis = client.connect(RedisTarget(sandbox.redis.url, None))
            try:
                await work(redis)
            finally:
                await redis.aclose()

        asyncio.run(main())

    return run


@pytest.fixture
def shard() -> Shard:
    """One that no other test uses."""
    return next(_campaigns), 0


RunWork = Callable[[Work], None]


def test_one_host_at_a_time(with_redis: RunWork, shard: Shard) -> None:
    async def work(redis: Redis) -> None:
        one, two = Leases(redis, "one", TTL), Leases(redis, "two", TTL)
        before = time.monotonic()
        deadline = await one.acquire(shard)
        assert deadline is not None
        assert before < deadline < before + TTL
        assert await two.acquire(shard) is None
        assert await one.acquire(shard) is None, "not even the holder gets it twice"
        other = (shard[0], 1)
        assert await two.free([shard, other]) == [other]
        await one.release(shard)
        assert await two.free([shard]) == [shard]
        assert await two.acquire(shard) is not None

    with_redis(work)


def test_a_renewal_prolongs(with_redis: RunWork, shard: Shard) -> None:
    async def work(redis: Redis) -> None:
        one = Leases(redis, "one", 1.0)
        await one.acquire(shard)
        await Leases(redis, "one", TTL).free([shard])
        one.ttl = TTL
        renewed = await one.renew([shard])
        assert renewed[shard] is not None
        assert await redis.pttl(f"campaignd:lease:{shard[0]}:0") > 30_000

    with_redis(work)


def test_an_expired_lease_is_free(with_redis: RunWork, shard: Shard) -> None:
    async def work(redis: Redis) -> None:
        one, two = Leases(redis, "one", 0.05), Leases(redis, "two", TTL)
        await one.acquire(shard)
        async with asyncio.timeout(10):
            while await two.acquire(shard) is None:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert await one.renew([shard]) == {shard: None}
        await one.release(shard)
        assert await two.free([shard]) == [], "a release by another than the owner does nothing"

    with_redis(work)


def test_a_lost_lease_is_taken_again(with_redis: RunWork, shard: Shard) -> None:
    async def work(redis: Redis) -> None:
        one, two = Leases(redis, "one", TTL), Leases(redis, "two", TTL)
        await one.acquire(shard)
        await redis.flushall()
        renewed = await one.renew([shard])
        assert renewed[shard] is not None
        assert await two.acquire(shard) is None

    with_redis(work)


def test_after_a_loss_the_faster_one_has_it(with_redis: RunWork, shard: Shard) -> None:
    async def work(redis: Redis) -> None:
        one, two = Leases(redis, "one", TTL), Leases(redis, "two", TTL)
        await one.acquire(shard)
        await redis.flushall()
        assert await two.acquire(shard) is not None
        assert await one.renew([shard]) == {shard: None}

    with_redis(work)


def test_a_restarted_daemon_is_another_owner(with_redis: RunWork, shard: Shard) -> None:
    async def work(redis: Redis) -> None:
        before, after = Leases(redis, "host", TTL), Leases(redis, "host", TTL)
        await before.acquire(shard)
        assert await after.acquire(shard) is None

    with_redis(work)


def test_a_release_that_comes_late_does_not_end_a_newer_lease(
    with_redis: RunWork, shard: Shard
) -> None:
    """Its connection was given up, but Redis had the request already."""

    async def work(redis: Redis) -> None:
        one = Leases(redis, "one", TTL)
        await one.acquire(shard)
        held: list[dict[str, Any]] = []
        release = one._release

        async def delayed(**request: Any) -> None:
            held.append(request)

        one._release = delayed  # type: ignore[assignment]
        await one.release(shard)
        await redis.flushall()  # or it ran out
        assert await one.acquire(shard) is not None
        await release(**held[0])
        assert await one.free([shard]) == []

    with_redis(work)


steps = st.lists(
    st.tuples(
        st.sampled_from(["acquire", "acquire", "renew", "release", "free", "lose everything"]),
        st.integers(0, 2),
        st.sets(st.integers(0, 3), min_size=1),
    ),
    max_size=30,
)


@given(steps)
@settings(
    max_examples=60,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_the_model_is_equal_to_redis(
    with_redis: RunWork, sequence: list[tuple[str, int, set[int]]]
) -> None:
    async def work(redis: Redis) -> None:
        campaign = next(_campaigns)
        twin = model.Server(World(Random(0)), Weather(Random(0)))
        real = [Leases(redis, f"host{number}", TTL) for number in range(3)]
        models = [Leases(cast(Redis, _Direct(twin)), f"host{number}", TTL) for number in range(3)]
        held: list[set[Shard]] = [set(), set(), set()]
        for what, host, numbers in sequence:
            shards = [(campaign, number) for number in sorted(numbers)]
            if what == "acquire":
                for shard in shards:
                    got = await real[host].acquire(shard)
                    assert (got is None) == (await models[host].acquire(shard) is None)
                    if got is not None:
                        held[host].add(shard)
            elif what == "renew":
                mine = [shard for shard in shards if shard in held[host]]
                kept, twins = await real[host].renew(mine), await models[host].renew(mine)
                assert [d is None for d in kept.values()] == [d is None for d in twins.values()]
            elif what == "release":
                for shard in [shard for shard in shards if shard in held[host]]:
                    held[host].discard(shard)
                    await real[host].release(shard)
                    await models[host].release(shard)
            elif what == "free":
                assert await real[host].free(shards) == await models[host].free(shards)
            else:
                await redis.flushall()
                twin.lose_everything()

    with_redis(work)


class _Direct:
    """The model without the way to it."""

    def __init__(self, server: model.Server) -> None:
        self._server = server

    async def set(self, key: str, owner: str, *, nx: bool, px: int) -> bool | None:
        return self._server.set_if_free(key, owner, px)

    async def mget(self, keys: list[str]) -> list[str | None]:
        return self._server.owners(keys)

    def register_script(self, text: str) -> Callable[..., Any]:
        operation = self._server.script(text)

        async def script(*, keys: list[str], args: list[Any]) -> Any:
            return operation(keys, *args)

        return script
