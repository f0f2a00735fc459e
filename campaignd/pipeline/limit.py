"""The host's limit of messages a second."""

from __future__ import annotations

from aiolimiter import AsyncLimiter


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
        """Changes the limit; waiting callers end under the old one."""
        self.rate = rate
        if rate is None:
            self._limiter = None
        else:
            burst = max(1.0, rate / 10)
            self._limiter = AsyncLimiter(burst, burst / rate)

    async def acquire(self) -> None:
        """Waits until one more message may go."""
        if self._limiter is not None:
            await self._limiter.acquire()
