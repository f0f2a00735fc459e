"""How a run went on: what the receiver had taken, and when."""

from __future__ import annotations

from typing import Final, NamedTuple

STEADY_FROM: Final = 0.5
STEADY_TO: Final = 0.95
"""Shares of the messages between which a run counts as steady: all sessions are open, and no shard
is at its end yet."""

SPACING_SECONDS: Final = 0.2


class Sample(NamedTuple):
    """At one moment."""

    seconds: float
    messages: int


class Progress:
    """Collects samples; `wanted` is how many messages there are in all."""

    def __init__(self, wanted: int) -> None:
        self._wanted = wanted
        self.samples: list[Sample] = []

    def due(self, now: float) -> bool:
        """Whether the last sample is old enough. `now` is in seconds, as in `add`."""
        return not self.samples or now - self.samples[-1].seconds >= SPACING_SECONDS

    def add(self, now: float, messages: int) -> None:
        """A new sample."""
        self.samples.append(Sample(now, messages))

    @property
    def steady_rate(self) -> float:
        """Messages a second of the steady part; 0 for a run too short to have one."""
        within = [
            sample
            for sample in self.samples
            if STEADY_FROM * self._wanted <= sample.messages <= STEADY_TO * self._wanted
        ]
        if len(within) < 2 or within[-1].seconds <= within[0].seconds:
            return 0.0
        first, last = within[0], within[-1]
        return (last.messages - first.messages) / (last.seconds - first.seconds)
