"""How compile errors speak of a template's constructs, and what they suggest instead."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Final

from jinja2 import filters, nodes

_SHOWN: Final = 12
"""Names listed at most when none is similar."""

_NAMES: Final = {
    nodes.AssignBlock: "{% set %} as a block",
    nodes.CallBlock: "{% call %}",
    nodes.Dict: "a dictionary",
    nodes.FilterBlock: "{% filter %}",
    nodes.FromImport: "{% from %}",
    nodes.Pow: "**",
    nodes.Scope: "{% autoescape %}",
    nodes.With: "{% with %}",
}


def describe(node: nodes.Node) -> str:
    """What a template's author calls this."""
    if isinstance(node, (nodes.Filter, nodes.Test)):
        return f"the {type(node).__name__.lower()} {node.name}"
    name = type(node).__name__.lower()
    return _NAMES.get(type(node), f"{{% {name} %}}" if isinstance(node, nodes.Stmt) else name)


def suggest(name: str, known: Iterable[str]) -> str:
    """A similar name, else the names that there are."""
    names = list(known)
    close = difflib.get_close_matches(name, names, 1)
    if close:
        return f"did you mean {close[0]}?"
    more = " ..." if len(names) > _SHOWN else ""
    return f"there are: {', '.join(names[:_SHOWN])}{more}"


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """Why this filter, test or method cannot be used."""
    if kind == "filter" and name in filters.FILTERS:
        return f"the filter {name} is not available in campaign templates"
    return f"there is no {kind} {name}; {suggest(name, sorted(known))}"
