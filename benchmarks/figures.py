"""Readings of single runs, and the medians and ratios over several."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Self

import msgspec


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """One run of one candidate."""

    messages: int
    seconds: float
    cpu_seconds: float
    """User and system time of the sending process."""
    peak_memory_kib: int
    receiver_cpu_seconds: float = 0.0
    database_cpu_seconds: float = 0.0
    """0 for candidates without one."""
    steady: float = 0.0
    """Messages a second of the second half; 0 where that is not known."""

    @property
    def rate(self) -> float:
        """Messages a second."""
        return self.messages / self.seconds

    @property
    def steady_rate(self) -> float:
        """Messages a second once it was in full swing, as far as that is known."""
        return self.steady or self.rate

    @property
    def cpu_us(self) -> float:
        """Microseconds of CPU time for a message."""
        return self.cpu_seconds / self.messages * 1e6

    @property
    def receiver_cpu_us(self) -> float:
        """The same of the receiver."""
        return self.receiver_cpu_seconds / self.messages * 1e6

    @property
    def database_cpu_us(self) -> float:
        """The same of MySQL."""
        return self.database_cpu_seconds / self.messages * 1e6


class Medians(msgspec.Struct, frozen=True, kw_only=True):
    """Of one candidate's runs."""

    rate: float
    slowest_rate: float
    fastest_rate: float
    cpu_us: float
    receiver_cpu_us: float
    database_cpu_us: float
    peak_memory_mib: float
    """The highest of all runs, not their median."""

    @classmethod
    def of(cls, runs: Sequence[Reading]) -> Self:
        """Raises StatisticsError for none."""
        rates = [run.rate for run in runs]
        return cls(
            rate=median(rates),
            slowest_rate=min(rates),
            fastest_rate=max(rates),
            cpu_us=median(run.cpu_us for run in runs),
            receiver_cpu_us=median(run.receiver_cpu_us for run in runs),
            database_cpu_us=median(run.database_cpu_us for run in runs),
            peak_memory_mib=max(run.peak_memory_kib for run in runs) / 1024,
        )


def ratio(runs: Sequence[Reading], peer: Sequence[Reading]) -> float:
    """How many times the peer's rate: the median over pairs of runs that followed one another,
    so that what slows the machine for a while slows both."""
    return median(mine.rate / its.rate for mine, its in zip(runs, peer, strict=True))
