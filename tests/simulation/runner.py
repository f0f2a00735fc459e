"""Runs many schedules, on several processes, and reports what did not hold."""

from __future__ import annotations

import gc
import multiprocessing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from time import monotonic

from tests.simulation.host import installed
from tests.simulation.schedule import Result, Schedule

CHUNK = 250
"""Schedules between two collections of garbage: a schedule leaves cycles, and looking for them
all the time takes a third of the time."""


@dataclass(slots=True)
class Summary:
    """`violations` has at most a few of those found, by seed."""

    schedules: int = 0
    simulated_seconds: float = 0.0
    dots: int = 0
    takeovers: int = 0
    fenced: int = 0
    duplicates: int = 0
    unknown: int = 0
    failed: int = 0
    violations: list[tuple[int, str]] = field(default_factory=list)

    def add(self, result: Result) -> None:
        self.schedules += 1
        self.simulated_seconds += result.seconds
        self.dots += result.dots
        self.takeovers += result.takeovers
        self.fenced += result.fenced
        self.duplicates += result.duplicates
        self.unknown += result.unknown
        if result.violation:
            self.failed += 1
            if len(self.violations) < 20:
                self.violations.append((result.seed, result.violation))


def run(seeds: Sequence[int]) -> Iterator[Result]:
    """The results of schedules, one after the other, in this process."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        with installed():
            for done, seed in enumerate(seeds, 1):
                yield Schedule(seed).run()
                if done % CHUNK == 0:
                    gc.collect()
    finally:
        if enabled:
            gc.enable()


def replay(seed: int) -> Result:
    """One schedule, with its trace."""
    with installed():
        return Schedule(seed, traced=True).run()


def run_chunk(seeds: Sequence[int]) -> list[Result]:
    """For a worker process."""
    return list(run(seeds))


def run_all(first: int, schedules: int, workers: int, *, every: float = 10.0) -> Summary:
    """Runs the seeds from `first` on; prints how far it is every so many seconds."""
    summary = Summary()
    last = first + schedules
    chunks = [range(low, min(low + CHUNK, last)) for low in range(first, last, CHUNK)]
    started = shown = monotonic()
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        for results in pool.imap_unordered(run_chunk, chunks):
            for result in results:
                summary.add(result)
                if result.violation:
                    print(f"seed {result.seed}: {result.violation}", flush=True)
            if monotonic() - shown >= every:
                shown = monotonic()
                rate = summary.schedules / (shown - started)
                print(f"{summary.schedules:,} schedules, {rate:.0f} a second", flush=True)
    return summary
