"""A template's source as a parser of HTML may read it: every construct is replaced, and every
line keeps its number.

All branches stand in it, one after the other. Nothing is rendered.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import jinja2
from jinja2 import nodes

from campaignd.compose.expressions import NOT_A_VALUE
from campaignd.compose.links import UNSUBSCRIBE_URL
from campaignd.compose.spec import CampaignSpec
from campaignd.compose.template import Origin, parse

HOLE: Final = "\ue000"
"""Stands for the output of a `{{ }}`."""
UNSUBSCRIBE: Final = "\ue001"
"""Stands for a `{{ }}` that has the unsubscribe link in it."""

_LEXER: Final = jinja2.Environment()  # noqa: S701  # it only splits a source into tokens


def masked(source: str) -> str:
    """Text as it stands, HOLE or UNSUBSCRIBE for output, nothing for statements and comments.
    `source` has been compiled before."""
    pieces: list[str] = []
    line = 1
    names: set[str] = set()
    for number, kind, value in _LEXER.lex(source):
        if number > line:  # white space that a `-` has removed, and what is inside of constructs
            pieces.append("\n" * (number - line))
            line = number
        if kind == "variable_begin":
            names = set()
        elif kind == "name":
            names.add(value)
        elif kind == "variable_end":
            pieces.append(UNSUBSCRIBE if UNSUBSCRIBE_URL in names else HOLE)
        elif kind == "data":
            pieces.append(value)
            line += value.count("\n")
    return "".join(pieces)


def sources(spec: CampaignSpec) -> list[str]:
    """All templates of a campaign."""
    optional = (spec.reply_to, spec.to_name, spec.preheader, spec.html, spec.text)
    given = [part for part in optional if part is not None]
    return [spec.sender, spec.subject, *spec.headers.values(), *given]


def names(source: str, origin: Origin) -> set[str]:
    """The merge fields that a template may use, and perhaps names that it sets itself. Raises
    TemplateError if it cannot be parsed."""
    tree = parse(source, origin)
    found = {name.name for name in tree.find_all(nodes.Name)} - NOT_A_VALUE.keys()
    for item in tree.find_all(nodes.Getitem):
        is_field = isinstance(item.node, nodes.Name) and item.node.name == "fields"
        if is_field and isinstance(item.arg, nodes.Const) and isinstance(item.arg.value, str):
            found.add(item.arg.value)
    return found


def bare(source: str, origin: Origin) -> set[str]:
    """The merge fields that are put out as they are: an empty one leaves a gap. Not those that
    have a default for it, or stand in an `if` that asks for them."""
    return set(_bare(parse(source, origin), frozenset()))


def is_blank(source: str, origin: Origin) -> bool:
    """Whether a template puts out white space at most, whatever the fields are. Raises
    TemplateError if it cannot be parsed."""
    return all(
        isinstance(piece, nodes.TemplateData) and not piece.data.strip()
        for output in parse(source, origin).find_all(nodes.Output)
        for piece in output.nodes
    )


def _bare(node: nodes.Node, guarded: frozenset[str]) -> Iterator[str]:
    if isinstance(node, nodes.If | nodes.CondExpr):
        guarded |= _named(node.test)
    elif isinstance(node, nodes.Or):
        guarded |= _named(node.left)
    elif isinstance(node, nodes.Filter) and node.name in ("default", "d"):
        if len(node.args) > 1 or node.kwargs:
            guarded |= _named(node)
    elif isinstance(node, nodes.Name) and node.name not in guarded:
        yield node.name
    skipped = node.test if isinstance(node, nodes.If | nodes.CondExpr) else None
    for child in node.iter_child_nodes():
        if child is not skipped and not isinstance(node, nodes.For | nodes.Assign):
            yield from _bare(child, guarded)
    if isinstance(node, nodes.For):
        for child in (*node.body, *node.else_):
            yield from _bare(child, guarded)


def _named(node: nodes.Node) -> frozenset[str]:
    return frozenset(name.name for name in node.find_all(nodes.Name)) | (
        {node.name} if isinstance(node, nodes.Name) else frozenset()
    )
