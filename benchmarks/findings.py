"""What a scenario finds out: figures with a name and a unit, and the target each has."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median

import msgspec


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One figure; `values` are those of single runs, in order, and there is at least one."""

    what: str
    unit: str
    values: list[float]
    at_least: float | None = None
    at_most: float | None = None
    note: str = ""
    """What one has to know to read it."""

    @property
    def value(self) -> float:
        """The median."""
        return median(self.values)

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without one."""
        if self.at_least is None and self.at_most is None:
            return None
        enough = self.at_least is None or self.value >= self.at_least
        return enough and (self.at_most is None or self.value <= self.at_most)

    @property
    def target(self) -> str:
        """In words; empty without one."""
        if self.at_least is not None:
            return f"{_number(self.at_least)} or more"
        return "" if self.at_most is None else f"{_number(self.at_most)} or less"


def number(finding: Finding, value: float) -> str:
    """A value of it for people, with its unit."""
    return f"{_number(value)} {finding.unit}".rstrip()


def rows(findings: Iterable[Finding]) -> list[tuple[str, str, str, str, str]]:
    """What, median, least to most, target and whether it is met, for people."""
    shown = []
    for finding in findings:
        spread = ""
        if len(finding.values) > 1:
            spread = f"{_number(min(finding.values))} to {_number(max(finding.values))}"
        met = {None: "", True: "yes", False: "no"}[finding.met]
        shown.append((finding.what, number(finding, finding.value), spread, finding.target, met))
    return shown


def relative(mine: Sequence[float], its: Sequence[float]) -> list[float]:
    """Ratios of runs that followed one another, so that what slows the machine for a while slows
    both."""
    return [one / other for one, other in zip(mine, its, strict=True)]


def _number(value: float) -> str:
    if value and abs(value) < 0.01:
        return f"{value:.2g}"
    if abs(value) < 10:
        return f"{value:.2f}"
    return f"{value:,.1f}" if abs(value) < 100 else f"{value:,.0f}"
