"""Which merge fields a campaign's templates use, and where each stands in a row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

ADDRESS: Final = "email"
"""The field that every audience has; it stands first in every row."""


class Columns:
    """The audience's columns, of which templates take the few they use.

    A row, as compiled templates get it, is the address and then the values of `used`.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._position = {name: position for position, name in enumerate(names)}
        self._slots = {ADDRESS: 0}

    @property
    def names(self) -> list[str]:
        """All that a template may name."""
        return [ADDRESS, *(name for name in self._position if name != ADDRESS)]

    def __contains__(self, name: str) -> bool:
        return name == ADDRESS or name in self._position

    def slot(self, name: str) -> int:
        """Where in the row this field stands; from now on it is in use."""
        return self._slots.setdefault(name, len(self._slots))

    @property
    def used(self) -> list[tuple[str, int]]:
        """Name and position among the audience's values, in the row's order, without the
        address."""
        return [(name, self._position[name]) for name in self._slots if name != ADDRESS]
