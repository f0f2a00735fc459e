"""Which merge fields a campaign's templates use, and where each stands in a row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

ADDRESS: Final = "email"
"""The field that every audience has; it stands first in every row."""


class Columns:
    """The audience's columns, of which templates take the few they use.

    A row, as compiled templates get it, is the address, then the values of `ours`, then those of
    `used`. The bare name of one of ours is never a column; `fields["name"]` always is one.
    """

    def __init__(
        self, names: Sequence[str], ours: Sequence[str] = (), unusable: Mapping[str, str] = {}
    ) -> None:
        """`unusable` says why some of `ours` cannot be used."""
        self._position = {name: position for position, name in enumerate(names)}
        self._slots = {ADDRESS: 0}
        self._ours = {name: slot for slot, name in enumerate(ours, 1)}
        self.unusable = unusable
        self.ours_used: set[str] = set()

    @property
    def names(self) -> list[str]:
        """All that a template may name."""
        return [ADDRESS, *(name for name in self._position if name != ADDRESS)]

    def __contains__(self, name: str) -> bool:
        return name == ADDRESS or name in self._position

    def slot(self, name: str) -> int:
        """Where in the row this field stands; from now on it is in use."""
        return self._slots.setdefault(name, len(self._slots) + len(self._ours))

    @property
    def ours(self) -> list[str]:
        """Names of ours that a template may use."""
        return [name for name in self._ours if name not in self.unusable]

    def our_slot(self, name: str) -> int | None:
        """The same for a name of ours; None for other names."""
        slot = self._ours.get(name)
        if slot is not None:
            self.ours_used.add(name)
        return slot

    @property
    def used(self) -> list[tuple[str, int]]:
        """Name and position among the audience's values, in the row's order, without the
        address."""
        return [(name, self._position[name]) for name in self._slots if name != ADDRESS]
