"""Output of a template that is not emitted yet, and what can be told about a body beforehand."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from jinja2 import nodes


class Pieces:
    """Literal text and holes, which become one constant or f-string."""

    def __init__(self) -> None:
        self._parts: list[ast.expr] = []
        self._text = ""
        self.holes = 0

    def __bool__(self) -> bool:
        return bool(self._parts or self._text)

    def text(self, text: str) -> None:
        self._text += text

    def hole(self, value: ast.expr, holes: int = 1) -> None:
        self._end_text()
        self._parts.append(ast.FormattedValue(value, -1, None))
        self.holes += holes

    def join(self) -> ast.expr:
        """The whole, once."""
        if not self._parts:
            return ast.Constant(self._text)
        self._end_text()
        return ast.JoinedStr(self._parts)

    def _end_text(self) -> None:
        if self._text:
            self._parts.append(ast.Constant(self._text))
        self._text = ""


def is_flat(body: Iterable[nodes.Node]) -> bool:
    """Whether there are only text, holes and conditions in it."""
    return all(
        isinstance(node, nodes.Output)
        or (isinstance(node, nodes.If) and is_flat([*node.body, *node.elif_, *node.else_]))
        for node in body
    )


def count_holes(body: Iterable[nodes.Node]) -> int:
    outputs: list[nodes.Output] = []
    for node in body:
        if isinstance(node, nodes.Output):
            outputs.append(node)
        else:
            outputs += node.find_all(nodes.Output)
    return sum(
        not isinstance(child, nodes.TemplateData) for output in outputs for child in output.nodes
    )


def assigned(body: Iterable[nodes.Node]) -> set[str]:
    """The names that a body sets, its loops excepted: those have a scope of their own."""
    names: set[str] = set()
    for node in body:
        if isinstance(node, nodes.Assign) and isinstance(node.target, nodes.Name):
            names.add(node.target.name)
        elif isinstance(node, nodes.If):
            names |= assigned([*node.body, *node.elif_, *node.else_])
    return names
