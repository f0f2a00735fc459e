"""A model of Redis for `campaignd.lease.keeper`: SET NX PX, MGET and its two scripts.

`tests/integration/lease/test_keeper.py` holds the real one to the same behaviour.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from redis.exceptions import ConnectionError as RedisConnectionError

from campaignd.lease import keeper
from tests.simulation.clock import Process, World
from tests.simulation.weather import Weather

USUAL, LONGEST = 0.002, 2.5
"""Seconds on the way to the server or back; the client gives up after 2 s."""

FADING = 1.9
"""Seconds that an answer takes in addition on a fading link."""

Script = Callable[..., Awaitable[Any]]


class Server:
    """Leases that it may lose at any moment. `lost_at` is when it did last."""

    def __init__(self, world: World, weather: Weather) -> None:
        self.world = world
        self.weather = weather
        self.lost_at = -1.0
        self.losses = 0
        self._leases: dict[str, tuple[str, float]] = {}

    def lose_everything(self) -> None:
        self._leases.clear()
        self.lost_at = self.world.now
        self.losses += 1

    def owner(self, key: str) -> str | None:
        lease = self._leases.get(key)
        if lease is None or lease[1] <= self.world.now:
            return None
        return lease[0]

    def set_if_free(self, key: str, owner: str, milliseconds: int) -> bool | None:
        if self.owner(key) is not None:
            return None
        self._leases[key] = (owner, self.world.now + milliseconds / 1000)
        return True

    def renew(self, keys: list[str], milliseconds: int, *owners: str) -> list[int]:
        held = []
        for key, owner in zip(keys, owners, strict=True):
            mine = self.owner(key) in (owner, None)
            if mine:
                self._leases[key] = (owner, self.world.now + milliseconds / 1000)
            held.append(int(mine))
        return held

    def release(self, keys: list[str], owner: str) -> int:
        if self.owner(keys[0]) != owner:
            return 0
        del self._leases[keys[0]]
        return 1

    def script(self, text: str) -> Callable[..., Any]:
        """What one of the keeper's scripts does."""
        scripts: dict[str, Callable[..., Any]] = {
            keeper._RENEW: self.renew,
            keeper._RELEASE: self.release,
        }
        return scripts[text]

    def owners(self, keys: list[str]) -> list[str | None]:
        return [self.owner(key) for key in keys]


class Client:
    """What a host has for `redis.asyncio.Redis`."""

    def __init__(self, server: Server, process: Process) -> None:
        self._server = server
        self._process = process

    async def set(self, key: str, owner: str, *, nx: bool, px: int) -> bool | None:
        assert nx
        got: bool | None = await self._call(self._server.set_if_free, key, owner, px)
        return got

    async def mget(self, keys: list[str]) -> list[str | None]:
        owners: list[str | None] = await self._call(self._server.owners, keys)
        return owners

    def register_script(self, text: str) -> Script:
        operation = self._server.script(text)

        async def script(*, keys: list[str], args: list[Any]) -> Any:
            return await self._call(operation, keys, *args)

        return script

    async def _call(self, operation: Callable[..., Any], *args: Any) -> Any:
        process, server = self._process, self._server
        if not process.alive:
            raise RedisConnectionError("the process has ended")
        world, weather, rng = server.world, server.weather, server.world.rng
        answer: asyncio.Future[Any] = process.create_future()
        freeze_at = weather.freeze_at()
        if freeze_at == "request":
            process.freeze(rng.uniform(1, 20))

        def send() -> None:
            away = weather.redis_away or process.name in weather.cut_off
            if away or rng.random() < weather.redis_lost_request:
                world.at(world.now + weather.redis_delay(USUAL, LONGEST), process, fail)
            else:
                world.at(world.now + weather.redis_delay(USUAL, LONGEST), None, serve)

        def serve() -> None:
            if freeze_at == "answer":
                process.freeze(rng.uniform(1, 20))
            result = operation(*args)
            if rng.random() < weather.redis_lost_reply:
                world.at(world.now + weather.redis_delay(USUAL, LONGEST), process, fail)
            else:
                way = weather.redis_delay(USUAL, LONGEST)
                if process.name in weather.fading:
                    way += rng.random() * FADING
                world.at(world.now + way, process, succeed, result)

        def succeed(result: Any) -> None:
            if not answer.done():
                answer.set_result(result)

        def fail() -> None:
            if not answer.done():
                answer.set_exception(RedisConnectionError("Redis is away"))

        process.call_soon(send)
        return await answer
