"""Compiles names, constants and operators from Jinja2's syntax tree to Python's.

An allow-list: what has no handler here or in `calls` does not exist for a campaign's templates.
The code that comes out reads the row and calls what `functions` has; it cannot reach an
attribute, an import or a builtin, whatever the template says.

A missing field is None in that code. Where a value is needed, `present` adds the check.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, Final, NamedTuple

from jinja2 import nodes

from campaignd.compose import functions
from campaignd.compose.columns import ADDRESS, Columns
from campaignd.compose.pycode import at_line, call, call_meter, const, load
from campaignd.compose.wording import describe, suggest
from campaignd.errors import TemplateError

MAX_DEPTH: Final = 80
"""How deep expressions and blocks nest: Python's own compiler has a limit that this stays
below."""

NOT_A_VALUE: Final = {
    "fields": 'write fields["column name"]',
    "loop": "write loop.index, loop.first and so on, in a for",
    "range": "write range(10)",
}

EXISTENCE_TESTS: Final = frozenset({"defined", "undefined", "none"})
"""Tests that a missing field passes or fails. To a template, a missing field is both undefined
and none."""

_COMPARE: Final[Mapping[str, type[ast.cmpop]]] = {
    "eq": ast.Eq,
    "ne": ast.NotEq,
    "gt": ast.Gt,
    "gteq": ast.GtE,
    "lt": ast.Lt,
    "lteq": ast.LtE,
}

_LOOP: Final = {
    "index": "{at} + 1",
    "index0": "{at}",
    "revindex": "{size} - {at}",
    "revindex0": "{size} - {at} - 1",
    "first": "{at} == 0",
    "last": "{at} == {size} - 1",
    "length": "{size}",
}


class Unfit(TemplateError):
    """What a template says cannot be compiled; `template.compile_template` names the place."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line


class Code(NamedTuple):
    """A compiled expression. `missing` says what is absent when its value is None, and is None
    when that cannot be."""

    node: ast.expr
    missing: str | None = None


class Loop(NamedTuple):
    """The Python variables of a loop: where it is, from 0, and how many turns it has."""

    at: str
    size: str


class ExpressionCompiler:
    """Compiles expressions of one template.

    After it, `slots` has the fields that were used, `names` the globals that the code needs,
    `metered` says whether it needs a `meter`, `inexact` whether its output can hold line breaks
    or controls that neither the template's text nor a cleaned value has.
    """

    handlers: ClassVar[dict[type[nodes.Node], str]] = {
        nodes.Name: "_name",
        nodes.Const: "_constant",
        nodes.Getattr: "_attribute",
        nodes.Getitem: "_item",
        nodes.CondExpr: "_condition",
        nodes.And: "_logic",
        nodes.Or: "_logic",
        nodes.Not: "_not",
        nodes.Neg: "_sign",
        nodes.Pos: "_sign",
        nodes.Add: "_arithmetic",
        nodes.Sub: "_arithmetic",
        nodes.Mul: "_arithmetic",
        nodes.Div: "_arithmetic",
        nodes.FloorDiv: "_arithmetic",
        nodes.Mod: "_arithmetic",
        nodes.Concat: "_concat",
        nodes.Compare: "_compare",
        nodes.List: "_sequence",
        nodes.Tuple: "_sequence",
    }

    def __init__(self, columns: Columns, *, html: bool) -> None:
        self._columns = columns
        self._html = html
        self._scopes: list[dict[str, str]] = [{}]
        self._loops: list[Loop] = []
        self._guarded: list[set[str]] = []
        self._depth = 0
        self._count = 0
        self.names: dict[str, Any] = {}
        self.slots: set[int] = set()
        self.metered = False
        self.inexact = False

    def expression(self, node: nodes.Node) -> Code:
        """Raises Unfit for what the allow-list does not have."""
        handler = self.handlers.get(type(node))
        if handler is None:
            raise Unfit(node.lineno, f"{describe(node)} is not available in campaign templates")
        with self.deeper(node):
            code: Code = getattr(self, handler)(node)
        return Code(at_line(code.node, node), code.missing)

    def present(self, node: nodes.Node) -> ast.expr:
        """The expression, checked not to be missing."""
        return at_line(self.checked(self.expression(node)), node)

    def checked(self, code: Code) -> ast.expr:
        if code.missing is None:
            return code.node
        return self.or_else(code.node, call("missing", const(code.missing)))

    def or_else(self, value: ast.expr, other: ast.expr) -> ast.expr:
        """`value`, which is evaluated once, or if it is None `other`."""
        first, again = value, value
        if isinstance(value, ast.Name):
            again = load(value.id)
        elif not isinstance(value, ast.Constant):
            name = self.fresh("t")
            first, again = ast.NamedExpr(ast.Name(name, ast.Store()), value), load(name)
        return ast.IfExp(ast.Compare(first, [ast.IsNot()], [const(None)]), again, other)

    def fresh(self, prefix: str) -> str:
        """The name of a new Python variable."""
        self._count += 1
        return f"{prefix}{self._count}"

    @contextmanager
    def deeper(self, node: nodes.Node) -> Iterator[None]:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise Unfit(node.lineno, f"nested more than {MAX_DEPTH} deep")
        yield
        self._depth -= 1

    @contextmanager
    def guarded(self, names: set[str]) -> Iterator[None]:
        """Inside, these may name columns that do not exist: they are missing."""
        self._guarded.append(names)
        yield
        self._guarded.pop()

    def apply(self, prefix: str, name: str, function: Any, *args: ast.expr) -> ast.Call:
        """A metered call."""
        self.metered = True
        self.names[prefix + name] = function
        return call_meter("apply", load(prefix + name), *args)

    def operate(self, operator: str, *args: ast.expr) -> ast.Call:
        return self.apply("o_", operator, functions.OPERATORS[operator], *args)

    # Names

    def _name(self, node: nodes.Name) -> Code:
        for scope in reversed(self._scopes):
            if node.name in scope:
                return Code(load(scope[node.name]), node.name)
        if node.name in NOT_A_VALUE:
            raise Unfit(node.lineno, f"{node.name} is not a value: {NOT_A_VALUE[node.name]}")
        if node.name in self._columns.unusable:
            if self._is_guarded(node.name):
                return Code(const(None), node.name)
            raise Unfit(node.lineno, self._columns.unusable[node.name])
        slot = self._columns.our_slot(node.name)
        if slot is not None:
            self.slots.add(slot)
            return Code(load(f"v{slot}"))
        return self._field(node.name, node.lineno)

    def _is_guarded(self, name: str) -> bool:
        return any(name in guarded for guarded in self._guarded)

    def _field(self, name: str, line: int) -> Code:
        if name in self._columns:
            slot = self._columns.slot(name)
            self.slots.add(slot)
            return Code(load(f"v{slot}"), None if name == ADDRESS else f"merge field {name}")
        if self._is_guarded(name):
            return Code(const(None), f"merge field {name}")
        raise Unfit(
            line,
            f"there is no column {name};"
            f" {suggest(name, [*self._columns.names, *self._columns.ours])}"
            f" (or give it a default: {{{{ {name} | default('...') }}}})",
        )

    def _constant(self, node: nodes.Const) -> Code:
        if node.value is None:
            return Code(const(None), "none")
        if isinstance(node.value, str) and not node.value.isprintable():
            self.inexact = True
        return Code(const(node.value))

    def _attribute(self, node: nodes.Getattr) -> Code:
        owner = node.node.name if isinstance(node.node, nodes.Name) else ""
        if owner == "fields":
            return self._field(node.attr, node.lineno)
        if owner == "loop" and self._loops and node.attr in _LOOP:
            source = _LOOP[node.attr].format_map(self._loops[-1]._asdict())
            return Code(ast.parse(source, mode="eval").body)
        raise Unfit(node.lineno, f"the attribute .{node.attr} is not available here")

    def _item(self, node: nodes.Getitem) -> Code:
        if isinstance(node.node, nodes.Name) and node.node.name == "fields":
            if isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str):
                return self._field(node.arg.value, node.lineno)
            raise Unfit(node.lineno, f"fields is not a value: {NOT_A_VALUE['fields']}")
        if isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str):
            raise Unfit(node.lineno, "items of a list have numbers, not names")
        value = self.present(node.node)
        if isinstance(node.arg, nodes.Slice):
            parts = (node.arg.start, node.arg.stop, node.arg.step)
            limits = [const(None) if part is None else self.present(part) for part in parts]
            return Code(self.operate("cut", value, *limits))
        return Code(self.operate("item", value, self.present(node.arg)), "an item of a list")

    # Operators

    def _condition(self, node: nodes.CondExpr) -> Code:
        if node.expr2 is None:
            raise Unfit(node.lineno, "if without else: write {{ a if b else '' }}")
        with self.guarded(checked_names(node.test)):
            test = self.present(node.test)
            one, two = self.expression(node.expr1), self.expression(node.expr2)
        return Code(ast.IfExp(test, one.node, two.node), one.missing or two.missing)

    def _logic(self, node: nodes.And | nodes.Or) -> Code:
        operator = ast.And() if isinstance(node, nodes.And) else ast.Or()
        with self.guarded(checked_names(node)):
            return Code(ast.BoolOp(operator, [self.present(node.left), self.present(node.right)]))

    def _not(self, node: nodes.Not) -> Code:
        return Code(ast.UnaryOp(ast.Not(), self.present(node.node)))

    def _sign(self, node: nodes.Neg | nodes.Pos) -> Code:
        operator = "sub" if isinstance(node, nodes.Neg) else "add"
        return Code(self.operate(operator, const(0), self.present(node.node)))

    def _arithmetic(self, node: nodes.BinExpr) -> Code:
        operator = type(node).__name__.lower()
        return Code(self.operate(operator, self.present(node.left), self.present(node.right)))

    def _concat(self, node: nodes.Concat) -> Code:
        operator = "concat_html" if self._html else "concat"
        return Code(self.operate(operator, *map(self.present, node.nodes)))

    def _compare(self, node: nodes.Compare) -> Code:
        left = self.present(node.expr)
        if len(node.ops) == 1 and node.ops[0].op in ("in", "notin"):
            found = self.operate("contains", left, self.present(node.ops[0].expr))
            return Code(found if node.ops[0].op == "in" else ast.UnaryOp(ast.Not(), found))
        operators: list[ast.cmpop] = []
        for operand in node.ops:
            if operand.op not in _COMPARE:
                raise Unfit(node.lineno, "in cannot be part of a chain of comparisons")
            operators.append(_COMPARE[operand.op]())
        return Code(ast.Compare(left, operators, [self.present(op.expr) for op in node.ops]))

    def _sequence(self, node: nodes.List | nodes.Tuple) -> Code:
        return Code(self.operate("list", *map(self.present, node.items)))


def named(node: nodes.Node) -> set[str]:
    """The field that a node names, if it is one."""
    if isinstance(node, nodes.Name):
        return {node.name}
    if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const):
        return {str(node.arg.value)}
    return {node.attr} if isinstance(node, nodes.Getattr) else set()


def checked_names(test: nodes.Node) -> set[str]:
    """The fields whose existence a condition tests."""
    tests = [*([test] if isinstance(test, nodes.Test) else []), *test.find_all(nodes.Test)]
    names: set[str] = set()
    for found in tests:
        if found.name in EXISTENCE_TESTS:
            names |= named(found.node)
    return names
