"""Takes from a recipient's values those that the templates use, cleaned."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any, Final, NamedTuple

from campaignd.compose.columns import Columns
from campaignd.compose.values import MAX_ROW_CHARACTERS, clean_value
from campaignd.errors import RowError

_SPECIAL: Final = "&<>'\""
"""What HTML escapes."""


class Row(NamedTuple):
    """The values as `Columns` orders them, and what is known of them."""

    values: tuple[Any, ...]
    has_breaks: bool
    """Whether a value has a line feed."""
    has_specials: bool
    """Whether a value has a character that HTML escapes."""


class RowReader:
    """Made once the templates are compiled: what they use is settled then."""

    def __init__(self, columns: Columns) -> None:
        self._used = columns.used
        self._pick = _picker([position for _, position in self._used])

    def read(self, given: tuple[str, ...], values: Sequence[object]) -> Row:
        """`given` are the address and the columns' own values. Raises RowError for a value of an
        unknown type, or too much of them."""
        try:
            row = (*given, *self._pick(values))
            joined = " ".join(row)
        except (TypeError, IndexError):  # a number, a missing field
            return self._read_each(given, values)
        if not joined.isprintable() or len(joined) > MAX_ROW_CHARACTERS:
            return self._read_each(given, values)
        has_specials = (
            "&" in joined or "'" in joined or "<" in joined or ">" in joined or '"' in joined
        )
        return Row(row, False, has_specials)

    def _read_each(self, given: tuple[str, ...], values: Sequence[object]) -> Row:
        row: list[Any] = [*given]
        for name, position in self._used:
            value = values[position] if position < len(values) else None
            row.append(clean_value(value, name))
        texts = [value for value in row if isinstance(value, str)]
        joined = " ".join(texts)
        if len(joined) > MAX_ROW_CHARACTERS:
            raise RowError(f"its merge fields have more than {MAX_ROW_CHARACTERS} characters")
        has_specials = any(special in joined for special in _SPECIAL)
        return Row(tuple(row), "\n" in joined, has_specials)


def _picker(positions: list[int]) -> Callable[[Sequence[object]], tuple[Any, ...]]:
    if len(positions) > 1:
        return itemgetter(*positions)
    return lambda values: tuple([values[position] for position in positions])
