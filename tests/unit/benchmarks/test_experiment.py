"""The order of turns, with candidates and a receiver that do nothing."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

import pytest

from benchmarks.errors import BenchmarkError
from benchmarks.experiment import Entry, Plan, interleave
from benchmarks.figures import Reading


class Taker:
    """A receiver that has taken what the last candidate sent it."""

    taken = 0

    host, port, messages = "", 0, 0

    def __init__(self) -> None:
        self.cpu_seconds = 0.5
        Taker.taken = 0

    def relays(self) -> list[Any]:
        return []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        pass

    def expect(self, messages: int) -> None:
        if Taker.taken != messages:
            raise BenchmarkError("the counts differ")


class Sender:
    def __init__(self, name: str, turns: list[tuple[str, int]], lost: int = 0) -> None:
        self.name = name
        self._turns = turns
        self._lost = lost

    def run(self, receiver: Any, count: int) -> Reading:
        self._turns.append((self.name, count))
        Taker.taken += count - self._lost
        receiver.cpu_seconds += 0.25
        return Reading(messages=count, seconds=1.0, cpu_seconds=0.1, peak_memory_kib=1)


def test_candidates_take_turns_after_a_warm_up() -> None:
    turns: list[tuple[str, int]] = []
    plan = Plan(repetitions=2, messages=10, warm_up=2, sessions=1)
    entries = [Entry(Sender(name, turns), Taker) for name in ("a", "b")]
    readings = interleave(entries, plan)
    assert turns == [("a", 2), ("b", 2), ("a", 10), ("b", 10), ("a", 10), ("b", 10)]
    assert [len(runs) for runs in readings.values()] == [2, 2]
    assert readings["a"][0].receiver_cpu_seconds == pytest.approx(0.25)


def test_a_lost_message_is_not_a_result() -> None:
    plan = Plan(repetitions=1, messages=10, warm_up=0, sessions=1)
    with pytest.raises(BenchmarkError, match="differ"):
        interleave([Entry(Sender("a", [], lost=1), Taker)], plan)


def test_an_entry_may_send_another_number() -> None:
    turns: list[tuple[str, int]] = []
    plan = Plan(repetitions=1, messages=10, warm_up=0, sessions=1)
    entries = [Entry(Sender("a", turns), Taker, 3), Entry(Sender("b", turns), Taker)]
    interleave(entries, plan)
    assert turns == [("a", 3), ("b", 10)]
