"""Heartbeats of hosts, and wake-ups that make them look at MySQL before their next poll."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import orjson
from redis.asyncio import Redis

from campaignd.lease.client import COMMAND_SECONDS, PREFIX, reaching

ALIVE_SECONDS: Final = 3.0
"""A host without a heartbeat for this long is not counted any more. They come every second, so two
may be late; and as long as a dead host counts, its part of a campaign is left to it."""

_BEAT: Final = """
local now = redis.call('TIME')
local at = now[1] + now[2] / 1000000
redis.call('ZADD', KEYS[1], at, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', at - ARGV[3])
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3] * 1000)
return redis.call('ZRANGE', KEYS[1], 0, -1)
"""

_HOSTS: Final = PREFIX + "hosts"
_WAKE: Final = PREFIX + "wake"


class Peers:
    """What hosts tell each other. Raises LeaseOutage when Redis cannot be reached."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._beat = redis.register_script(_BEAT)

    async def beat(self, host: str, report: dict[str, Any]) -> list[str]:
        """Publishes this host's report; returns the names of all hosts alive, sorted."""
        async with reaching():
            hosts = await self._beat(
                keys=[_HOSTS, _host(host)],
                args=[host, orjson.dumps(report).decode(), ALIVE_SECONDS],
            )
        return sorted(str(name) for name in hosts)

    async def leave(self, host: str) -> None:
        """Takes this host off the list at once."""
        async with reaching():
            await self._redis.zrem(_HOSTS, host)
            await self._redis.delete(_host(host))

    async def reports(self) -> dict[str, dict[str, Any]]:
        """The latest report of every host alive."""
        async with reaching():
            hosts = [str(name) for name in await self._redis.zrange(_HOSTS, 0, -1)]
            texts = await self._redis.mget([_host(name) for name in hosts]) if hosts else []
        return {
            host: orjson.loads(text)
            for host, text in zip(hosts, texts, strict=True)
            if text is not None
        }

    async def wake(self, campaign: int) -> None:
        """Tells every host that a campaign changed."""
        async with reaching():
            await self._redis.publish(_WAKE, str(campaign))

    async def listen(self, woken: asyncio.Event) -> None:
        """Sets `woken` for every wake-up until cancelled, or LeaseOutage is raised."""
        async with self._redis.pubsub() as subscription:
            async with reaching():
                await subscription.subscribe(_WAKE)
            while True:
                async with reaching():
                    message = await subscription.get_message(
                        ignore_subscribe_messages=True, timeout=COMMAND_SECONDS / 2
                    )
                if message is not None:
                    woken.set()


def _host(name: str) -> str:
    return f"{PREFIX}host:{name}"
