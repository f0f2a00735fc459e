"""Counts rows by what is wrong with them, in memory that does not grow with their number."""

from __future__ import annotations

from typing import Final

from campaignd.lint.rules import Finding, Rule
from campaignd.wording import plural

LINES_SHOWN: Final = 5
KINDS_MOST: Final = 50
"""Different reasons that are told apart; more would be of no use to anybody."""

_OTHERS: Final = "have something else wrong with them"


class Tally:
    """How many rows have each kind of trouble, and where the first of them are."""

    def __init__(self) -> None:
        self.total = 0
        """Rows looked at."""
        self._lines: dict[tuple[Rule, str], list[int]] = {}
        self._counts: dict[tuple[Rule, str], int] = {}

    def add(self, rule: Rule, text: str, line: int) -> None:
        """Counts one row. `text` says what is wrong with it."""
        key = rule, text
        if key not in self._counts and len(self._counts) >= KINDS_MOST:
            key = rule, _OTHERS
        self._counts[key] = self._counts.get(key, 0) + 1
        lines = self._lines.setdefault(key, [])
        if len(lines) < LINES_SHOWN:
            lines.append(line)

    def findings(self, file: str) -> list[Finding]:
        """One for each kind of trouble."""
        found = []
        for (rule, text), count in self._counts.items():
            lines = self._lines[rule, text]
            where = f"{file}, line {', '.join(map(str, lines))}"
            if count > len(lines):
                where += f" and {count - len(lines):,} more"
            found.append(Finding(rule, where, f"{count:,} of {plural(self.total, 'row')} {text}"))
        return found
