"""Token buckets: what is promised, for any sequence of requests."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaignd.web.budgets import BURST_SECONDS, Budgets


def test_a_burst_then_the_rate() -> None:
    budgets = Budgets(5.0)
    assert [budgets.spend("a", 0.0) for _ in range(20)] == [0.0] * 20
    assert budgets.spend("a", 0.0) == pytest.approx(0.2)
    assert budgets.spend("b", 0.0) == 0.0
    assert budgets.spend("a", 0.21) == 0.0
    assert budgets.spend("a", 0.21) > 0.0


def test_what_is_refused_spends_nothing() -> None:
    budgets = Budgets(1.0)
    assert [budgets.spend("a", 0.0) for _ in range(4)] == [0.0] * 4
    assert [budgets.spend("a", 0.0) for _ in range(50)] == [1.0] * 50


def test_the_table_is_bounded_and_the_oldest_goes() -> None:
    budgets = Budgets(0.1, capacity=100)
    for n in range(100):
        assert budgets.spend(n, 0.0) == 0.0
    budgets.spend(0, 20.0)
    assert budgets.spend(1_000, 20.0) == 0.0
    assert len(budgets) == 100
    assert budgets.spend(0, 20.0) > 0.0  # was used last, and is remembered
    assert budgets.spend(1, 0.0) == 0.0  # was forgotten


@given(st.floats(0.01, 1_000), st.lists(st.floats(0, 10), max_size=200), st.integers(1, 50))
def test_never_more_than_the_burst_and_the_rate(
    rate: float, pauses: list[float], capacity: int
) -> None:
    budgets = Budgets(rate, capacity=capacity)
    now, granted = 0.0, 0
    for pause in pauses:
        now += pause
        granted += budgets.spend("a", now) == 0.0
    assert granted <= max(1.0, rate * BURST_SECONDS) + rate * now + 1e-6
