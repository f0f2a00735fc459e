"""Lets candidates take turns: A B C, A B C, so that drift of the machine hits all alike."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import msgspec

from benchmarks.candidates import Candidate
from benchmarks.farend import FarEnd
from benchmarks.figures import Reading

_log: Final = logging.getLogger("benchmarks")


class Plan(NamedTuple):
    """How often, how many messages in a run, over how many sessions."""

    repetitions: int
    messages: int
    warm_up: int
    """Messages of a first run of each candidate, which does not count; 0 for none."""
    sessions: int


class Entry(NamedTuple):
    """A candidate and where it sends to."""

    candidate: Candidate
    far_end: Callable[[], FarEnd]
    """Makes a receiver for one run."""
    messages: int | None = None
    """Of one run, if not as the plan says."""


def interleave(entries: Sequence[Entry], plan: Plan) -> dict[str, list[Reading]]:
    """The readings of each candidate by its name, in order.

    Every run has a receiver of its own, which must have taken exactly what was sent; else
    BenchmarkError.
    """
    readings: dict[str, list[Reading]] = {entry.candidate.name: [] for entry in entries}
    if plan.warm_up:
        for entry in entries:
            _log.info("warm-up: %s, %d messages", entry.candidate.name, plan.warm_up)
            measure(entry, plan.warm_up)
    for repetition in range(1, plan.repetitions + 1):
        for entry in entries:
            reading = measure(entry, entry.messages or plan.messages)
            readings[entry.candidate.name].append(reading)
            _log.info(
                "run %d of %d: %-12s %8.0f msg/s %7.1f us",
                *(repetition, plan.repetitions, entry.candidate.name),
                *(reading.rate, reading.cpu_us),
            )
    return readings


def measure(entry: Entry, count: int) -> Reading:
    """One run. Raises BenchmarkError if it fails or the receiver's count is another."""
    with entry.far_end() as far_end:
        before = far_end.cpu_seconds
        reading = entry.candidate.run(far_end, count)
        far_end.expect(count)
        used = far_end.cpu_seconds - before
    return msgspec.structs.replace(reading, receiver_cpu_seconds=used)
