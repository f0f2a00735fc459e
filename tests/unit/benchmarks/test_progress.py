from __future__ import annotations

import pytest

from benchmarks.progress import Progress


def test_the_steady_rate_leaves_out_both_ends() -> None:
    progress = Progress(1_000)
    for seconds, messages in ((0, 0), (5, 400), (6, 500), (8, 900), (20, 960), (30, 1_000)):
        progress.add(seconds, messages)
    assert progress.steady_rate == pytest.approx(200)


def test_a_run_that_is_too_short_has_none() -> None:
    progress = Progress(100)
    progress.add(0.0, 0)
    progress.add(0.2, 100)
    assert progress.steady_rate == 0


def test_samples_are_some_time_apart() -> None:
    progress = Progress(100)
    assert progress.due(1.0)
    progress.add(1.0, 5)
    assert not progress.due(1.1)
    assert progress.due(1.25)
