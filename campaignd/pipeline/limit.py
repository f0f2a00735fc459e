"""The host's limit of messages a second."""

from __future__ import annotations

import asyncio
from typing import Final

from aiolimiter import AsyncLimiter

LOOK_SECONDS: Final = 0.25
"""How long a caller waits before it looks whether it has to stop, or the limit is another."""


class HostLimit:
    """`rate` in messages a second, or None for no limit. Bursts stay below 0.1 s worth."""

    def __init__(self, rate: float | None) -> None:
        self.rate = rate
        self._limiter: AsyncLimiter | None = None
        self.set(rate)

    @property
    def limited(self) -> bool:
        """Whether `acquire` has to be called at all."""
        return self._limiter is not None

    def set(self, rate: float | None) -> None:
        """Changes the limit; who waits is under the new one within LOOK_SECONDS."""
        self.rate = rate
        if rate is None:
            self._limiter = None
        else:
            burst = max(1.0, rate / 10)
            self._limiter = AsyncLimiter(burst, burst / rate)

    async def acquire(self) -> bool:
        """Waits until one more message may go; False if it may not yet after LOOK_SECONDS."""
        limiter = self._limiter
        if limiter is None:
            return True
        if limiter.has_capacity():  # saves the timer
            await limiter.acquire()
            return True
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                await limiter.acquire()
        except TimeoutError:
            return False
        return True
