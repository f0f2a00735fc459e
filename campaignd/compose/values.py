"""Cleans merge values, so that nothing in them can be taken for structure.

What a cleaned string may hold: any character but C0 and C1 controls and lone surrogates, with
tab and line feed excepted. Bidirectional marks, joiners and emoji stay.
"""

from __future__ import annotations

import re
from typing import Final

from campaignd.errors import RowError

MAX_ROW_CHARACTERS: Final = 100_000
"""Of all merge values that a campaign uses for one recipient together; our choice. Rendering
is bounded by it."""

Value = str | int | float | bool | None

_BREAKS: Final = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
_CONTROLS: Final = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f]")
_SURROGATES: Final = re.compile("[\ud800-\udfff]")


def clean_text(text: str) -> str:
    """Every kind of line break becomes a line feed, other controls are dropped, and lone
    surrogates, which UTF-8 cannot carry, become U+FFFD."""
    text = _BREAKS.sub("\n", text)
    text = _CONTROLS.sub("", text)
    return _SURROGATES.sub("\ufffd", text)


def clean_value(value: object, name: str) -> Value:
    """A merge value as templates see it. Numbers stay numbers; None is a missing field.

    Raises RowError for what is neither a string, a number, a truth value nor None.
    """
    if isinstance(value, str):
        return value if value.isprintable() else clean_text(value)
    if value is None or isinstance(value, (bool, int, float)):
        return value
    raise RowError(f"merge field {name} is a {type(value).__name__}, not a text or a number")
