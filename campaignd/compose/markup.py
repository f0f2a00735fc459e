"""Finds the tags of an HTML template's source, and changes nothing of it.

Template tags are masked by letters first, so that a place in what is searched is one in the source.
Both take linear time, whatever the source is: at what never ends they stop, as a browser does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

_CLOSING: Final = {"{{": "}}", "{%": "%}", "{#": "#}"}
_OPENING: Final = re.compile(r"\{[{%#]")
_TAG: Final = re.compile(r"<(?:(!--)|([/!]?[a-z][a-z0-9:-]*+))", re.IGNORECASE)
_INSIDE: Final = re.compile(r"(?:[^>\"']++|\"[^\"]*+\"|'[^']*+')*+>")
_RAW_TEXT: Final = frozenset(("script", "style", "title", "textarea"))


class Tag(NamedTuple):
    """A start or end tag, or a declaration."""

    name: str
    """In lower case, with `/` or `!` before it."""
    start: int
    name_end: int
    end: int
    content_end: int
    """Of an element whose content is not markup; else `end`."""


def masked(source: str) -> str:
    """The source with a letter for each character of a template tag."""
    pieces = []
    done = 0
    while found := _OPENING.search(source, done):
        close = source.find(_CLOSING[found[0]], found.end())
        if close < 0:
            break
        pieces += [source[done : found.start()], "x" * (close + 2 - found.start())]
        done = close + 2
    return "".join([*pieces, source[done:]])


def tags(masked: str) -> Iterator[Tag]:
    """All tags that are not in a comment, in their order."""
    at = 0
    while found := _TAG.search(masked, at):
        if found[1]:
            at = masked.find("-->", found.end()) + 3
            if at < 3:
                return
            continue
        rest = _INSIDE.match(masked, found.end())
        if rest is None:
            return
        name = found[2].lower()
        at = rest.end()
        if name in _RAW_TEXT:
            end = re.compile(rf"</{name}\b", re.IGNORECASE).search(masked, at)
            at = end.start() if end else len(masked)
        yield Tag(name, found.start(), found.end(), rest.end(), at)
