"""Bounds what one rendering may cost, whatever the template and the values are.

Compiled templates route every loop, filter, method and operator through a `Meter`, and charge
it for the characters they take and give. A template that has none of these needs no meter: its
cost is bounded by its own size and by `values.MAX_ROW_CHARACTERS`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from campaignd.errors import RowError

MAX_OUTPUT_CHARACTERS: Final = 1_000_000
"""Of one rendered subject, header, text or HTML; our choice. Gmail, for one, clips a message at
102 KB."""

UNITS: Final = 1_000_000
"""What one rendering may spend: a unit is a character taken or given. At worst some 100 ms of
CPU."""

STEP_UNITS: Final = 20
"""The price of one turn of a loop."""

NODE_UNITS: Final = 10
"""The price of each construct in a loop's body, at each turn, besides what it emits and calls.
Two long texts compared are the worst of them."""


class Overrun(RowError):
    """A template does, or makes, more than one message may cost."""


class Meter:
    """Counts down the units of one rendering and collects its output."""

    __slots__ = ("_left", "_parts")

    def __init__(self) -> None:
        self._left = UNITS
        self._parts: list[str] = []

    def spend(self, units: int) -> None:
        """Raises Overrun once the units are used up."""
        self._left -= units
        if self._left < 0:
            raise Overrun("the template loops too long, or its output is too large")

    def emit(self, text: str) -> None:
        self.spend(len(text) + 1)
        self._parts.append(text)

    def output(self) -> str:
        return "".join(self._parts)

    def apply(self, function: Callable[..., Any], /, *args: Any, **options: Any) -> Any:
        """Calls a filter, method or operator; what it takes and gives is charged."""
        units = 1
        for value in args:
            if isinstance(value, (str, list)):
                units += len(value)
        self.spend(units)
        result = function(*args, **options)
        if isinstance(result, (str, list)):
            self.spend(len(result))
        return result

    def items(self, value: object) -> list[Any]:
        """What a loop goes over: a list, or the characters of a string."""
        if not isinstance(value, (str, list)):
            raise TypeError(f"cannot loop over a {type(value).__name__}")
        self.spend(len(value))
        return list(value)
