from __future__ import annotations

import pytest

from tests.simulation.runner import Summary, replay, run

SCHEDULES = 2_000


@pytest.mark.slow
@pytest.mark.timeout(900)  # 16 s of CPU, on a machine that may be busy
def test_every_rule_holds_in_every_schedule() -> None:
    """A failure is repeated, with its trace, by `python -m tests.simulation --replay SEED`."""
    summary = Summary()
    for result in run(range(1, SCHEDULES + 1)):
        summary.add(result)
    assert summary.violations == []
    # The storm has to reach what the rules are about, or they would hold for nothing.
    assert summary.dots > 5 * SCHEDULES
    assert summary.takeovers > 2 * SCHEDULES
    assert summary.fenced > SCHEDULES / 10
    assert summary.duplicates > SCHEDULES / 10
    assert summary.unknown > SCHEDULES / 10


def test_a_seed_is_all_there_is() -> None:
    for seed in (3, 14, 159):
        first, second = replay(seed), replay(seed)
        assert first.trace
        assert first.trace == second.trace
        assert first == second
