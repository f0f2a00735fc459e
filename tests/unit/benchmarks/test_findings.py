from __future__ import annotations

import pytest

from benchmarks.findings import Finding, relative, rows


def finding(*values: float, at_least: float | None = None, at_most: float | None = None) -> Finding:
    return Finding(what="rate", unit="x", values=[*values], at_least=at_least, at_most=at_most)


@pytest.mark.parametrize(
    ("found", "met", "target"),
    [
        (finding(1, 3, 2), None, ""),
        (finding(1, 3, 2, at_least=2), True, "2.00 or more"),
        (finding(1, 3, 2, at_least=2.5), False, "2.50 or more"),
        (finding(1, 3, 2, at_most=2), True, "2.00 or less"),
        (finding(1, 3, 2, at_most=1.5), False, "1.50 or less"),
    ],
)
def test_the_median_meets_the_target(found: Finding, met: bool | None, target: str) -> None:
    assert found.value == 2
    assert found.met is met
    assert found.target == target


def test_rows() -> None:
    assert rows([finding(11_000, 13_000.4, 12_000, at_least=11_574), finding(0.5)]) == [
        ("rate", "12,000 x", "11,000 to 13,000", "11,574 or more", "yes"),
        ("rate", "0.50 x", "", "", ""),
    ]


def test_ratios_are_of_neighbouring_runs() -> None:
    assert relative([10, 5], [20, 5]) == [0.5, 1.0]
