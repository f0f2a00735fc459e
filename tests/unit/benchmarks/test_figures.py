from __future__ import annotations

import pytest

from benchmarks.figures import Medians, Reading, ratio


def reading(rate: float, *, peak: int = 1024) -> Reading:
    return Reading(messages=1_000, seconds=1_000 / rate, cpu_seconds=0.05, peak_memory_kib=peak)


def test_one_run() -> None:
    run = Reading(
        messages=2_000,
        seconds=0.5,
        cpu_seconds=0.1,
        peak_memory_kib=1,
        receiver_cpu_seconds=0.04,
        database_cpu_seconds=0.02,
    )
    assert run.rate == 4_000
    assert run.cpu_us == pytest.approx(50)
    assert run.receiver_cpu_us == pytest.approx(20)
    assert run.database_cpu_us == pytest.approx(10)


def test_medians_are_not_moved_by_one_bad_run() -> None:
    found = Medians.of([reading(10_000), reading(11_000), reading(500, peak=4096)])
    assert found.rate == pytest.approx(10_000)
    assert (found.slowest_rate, found.fastest_rate) == pytest.approx((500, 11_000))
    assert found.peak_memory_mib == 4
    assert found.cpu_us == pytest.approx(50)


def test_ratio_is_of_neighbours() -> None:
    """A machine that halves its speed in the middle changes rates, not their ratio."""
    mine = [reading(9_000), reading(4_500), reading(4_500)]
    peer = [reading(10_000), reading(5_000), reading(5_000)]
    assert ratio(mine, peer) == pytest.approx(0.9)


def test_ratio_needs_pairs() -> None:
    with pytest.raises(ValueError, match="shorter"):
        ratio([reading(1), reading(1)], [reading(1)])
