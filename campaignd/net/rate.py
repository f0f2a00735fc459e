"""A relay's limit of messages a second.

`aiolimiter` paces; what it grants is taken in batches, so that a session can ask without
awaiting. A batch and the limiter's own burst are 25 ms worth each, or one message if that is
more, so no burst exceeds 50 ms worth or two messages.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from aiolimiter import AsyncLimiter

BATCH_SECONDS: Final = 0.025
"""Worth of a batch. Shorter wakes up more often for no smoother flow."""


class Rate:
    """Permits to send one message each. `run` must be running for there to be any."""

    __slots__ = ("_batch", "_granted", "_limiter", "_used_up", "per_second", "permits")

    def __init__(self, per_second: float, granted: Callable[[], None]) -> None:
        """`granted` is called whenever there are permits again."""
        self.per_second = per_second
        self.permits = 0
        self._batch = max(1, int(per_second * BATCH_SECONDS))
        self._limiter = AsyncLimiter(self._batch, self._batch / per_second)
        self._granted = granted
        self._used_up = asyncio.Event()

    def take(self) -> None:
        """Uses one permit; only when `permits` is above 0."""
        self.permits -= 1
        if self.permits <= 0:
            self._used_up.set()

    async def run(self) -> None:
        """Grants permits until cancelled."""
        while True:
            await self._limiter.acquire(self._batch)
            self.permits = self._batch
            self._used_up.clear()
            self._granted()
            if self.permits > 0:
                await self._used_up.wait()
