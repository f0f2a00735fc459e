"""Lets candidates take turns: A B C, A B C, so that drift of the machine hits all alike."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from benchmarks.candidates import Candidate
from benchmarks.figures import Reading
from benchmarks.receiver import Receiver
from campaignd.sandbox.supervisor import Supervisor

_log: Final = logging.getLogger("benchmarks")


class Plan(NamedTuple):
    """How often, how many messages in a run, over how many sessions."""

    repetitions: int
    messages: int
    warm_up: int
    """Messages of a first run of each candidate, which does not count; 0 for none."""
    sessions: int


def interleave(
    candidates: Sequence[Candidate], plan: Plan, supervisor: Supervisor
) -> dict[str, list[Reading]]:
    """The readings of each candidate by its name, in order.

    Every run has a receiver of its own, which must have taken exactly what was sent; else
    BenchmarkError.
    """
    readings: dict[str, list[Reading]] = {candidate.name: [] for candidate in candidates}
    if plan.warm_up:
        for candidate in candidates:
            _log.info("warm-up: %s, %d messages", candidate.name, plan.warm_up)
            measure(candidate, plan.warm_up, plan.sessions, supervisor)
    for repetition in range(1, plan.repetitions + 1):
        for candidate in candidates:
            reading = measure(candidate, plan.messages, plan.sessions, supervisor)
            readings[candidate.name].append(reading)
            _log.info(
                "run %d of %d: %-12s %8.0f msg/s %7.1f us",
                *(repetition, plan.repetitions, candidate.name, reading.rate, reading.cpu_us),
            )
    return readings


def measure(candidate: Candidate, count: int, sessions: int, supervisor: Supervisor) -> Reading:
    """One run. Raises BenchmarkError if it fails or the receiver's count is another."""
    with Receiver(supervisor, sessions) as receiver:
        before = receiver.cpu_seconds
        reading = candidate.run(receiver, count)
        receiver.expect(count)
        used = receiver.cpu_seconds - before
    return msgspec.structs.replace(reading, receiver_cpu_seconds=used)
