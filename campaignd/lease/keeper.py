"""Leases on shards: `SET NX PX`, renewed and given back by scripts that check the owner.

A lease's deadline is monotonic time taken *before* the request that got or renewed it, plus the
TTL, minus a margin (R3): Redis counts from when it served the request, which is never earlier.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from typing import Final

from redis.asyncio import Redis

from campaignd.lease.client import PREFIX, reaching

MARGIN: Final = 0.1
"""Share of the TTL that a holder leaves unused, for clocks that run at different rates and the
way of the last final dot to the receiver."""

_RENEW: Final = """
local held = {}
for i, key in ipairs(KEYS) do
  local owner = redis.call('GET', key)
  if owner == ARGV[i + 1] then
    redis.call('PEXPIRE', key, ARGV[1])
    held[i] = 1
  elseif not owner then
    redis.call('SET', key, ARGV[i + 1], 'PX', ARGV[1])
    held[i] = 1
  else
    held[i] = 0
  end
end
return held
"""

_RELEASE: Final = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""

Shard = tuple[int, int]
"""Campaign and shard number."""


class Leases:
    """The leases of this process. All times are monotonic seconds.

    Every method raises LeaseOutage when Redis cannot be reached; a renewal that failed leaves the
    old deadlines in force.
    """

    def __init__(
        self, redis: Redis, host: str, ttl: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.ttl = ttl
        self._redis = redis
        # A restarted daemon of the same name is another owner: it must not renew leases whose
        # recipients it knows nothing of.
        self._process = f"{host}/{secrets.token_hex(8)}"
        # Nor must a release that Redis carries out late end the lease that we have got since.
        self._count = 0
        self._owners: dict[Shard, str] = {}
        self._clock = clock
        self._renew = redis.register_script(_RENEW)
        self._release = redis.register_script(_RELEASE)

    async def acquire(self, shard: Shard) -> float | None:
        """Leases a free shard; returns the deadline, or None when another host has it."""
        self._count += 1
        owner = f"{self._process}/{self._count}"
        asked = self._clock()
        async with reaching():
            got = await self._redis.set(_key(shard), owner, nx=True, px=self._milliseconds)
        if not got:
            return None
        self._owners[shard] = owner
        return self._deadline(asked)

    async def renew(self, shards: Sequence[Shard]) -> dict[Shard, float | None]:
        """The new deadline of each shard that was acquired, or None where another host has it
        by now.

        A lease that Redis lost (restart, FLUSHALL) is taken again: if a peer has been faster in
        MySQL meanwhile, the epoch fences us.
        """
        if not shards:
            return {}
        asked = self._clock()
        async with reaching():
            held = await self._renew(
                keys=[_key(shard) for shard in shards],
                args=[self._milliseconds, *(self._owners[shard] for shard in shards)],
            )
        deadline = self._deadline(asked)
        return {shard: deadline if kept else None for shard, kept in zip(shards, held, strict=True)}

    async def release(self, shard: Shard) -> None:
        """Gives a lease back that was acquired, if it is still ours."""
        owner = self._owners.pop(shard)
        async with reaching():
            await self._release(keys=[_key(shard)], args=[owner])

    async def free(self, shards: Sequence[Shard]) -> list[Shard]:
        """Those of `shards` that nobody leases at this moment."""
        if not shards:
            return []
        async with reaching():
            owners = await self._redis.mget([_key(shard) for shard in shards])
        return [shard for shard, owner in zip(shards, owners, strict=True) if owner is None]

    @property
    def _milliseconds(self) -> int:
        return int(self.ttl * 1000)

    def _deadline(self, asked: float) -> float:
        return asked + self.ttl * (1 - MARGIN)


def _key(shard: Shard) -> str:
    return f"{PREFIX}lease:{shard[0]}:{shard[1]}"
