"""Token buckets for many keys, in bounded memory."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

from campaignd import metrics

BURST_SECONDS: Final = 4.0
"""How many seconds' worth of requests may come at once."""

CAPACITY: Final = 10_000
"""Keys remembered, some 2 MB. Whose key is forgotten starts anew with a full bucket: to have
others forgotten, one needs as many addresses as would do as well without it."""


class Budgets:
    """Each key may spend `rate` a second, and BURST_SECONDS times that at once."""

    def __init__(self, rate: float, *, capacity: int = CAPACITY) -> None:
        self._rate = rate
        self._burst = max(1.0, rate * BURST_SECONDS)
        self._capacity = capacity
        self._levels: dict[Hashable, tuple[float, float]] = {}

    def __len__(self) -> int:
        return len(self._levels)

    def spend(self, key: Hashable, now: float) -> float:
        """Spends one if there is one. Returns 0, or the seconds until there is. `now` is
        monotonic."""
        level, at = self._levels.get(key, (self._burst, now))
        level = min(self._burst, level + (now - at) * self._rate)
        if level < 1.0:
            return (1.0 - level) / self._rate
        self._levels.pop(key, None)
        self._levels[key] = (level - 1.0, now)  # the last in line to be forgotten
        if len(self._levels) > self._capacity:
            del self._levels[next(iter(self._levels))]
        metrics.web_budgets.set(len(self._levels))
        return 0.0
