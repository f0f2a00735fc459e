"""Compiles the expressions of a template from Jinja2's syntax tree to Python's.

An allow-list: what has no method here does not exist for a campaign's templates. The code that
comes out reads the row and calls what `functions` has; it cannot reach an attribute, an import
or a builtin, whatever the template says.

A missing field is None in that code. Where a value is needed, `_present` adds the check.
"""

from __future__ import annotations

import ast
import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

from jinja2 import nodes

from campaignd.compose import functions
from campaignd.compose.columns import Columns
from campaignd.errors import TemplateError

MAX_DEPTH: Final = 80
"""How deep expressions and blocks nest: Python's own compiler has a limit that this stays
below."""

_COMPARE: Final[Mapping[str, type[ast.cmpop]]] = {
    "eq": ast.Eq,
    "ne": ast.NotEq,
    "gt": ast.Gt,
    "gteq": ast.GtE,
    "lt": ast.Lt,
    "lteq": ast.LtE,
}

NOT_A_VALUE: Final = {
    "fields": 'write fields["column name"]',
    "loop": "write loop.index, loop.first and so on",
    "range": "write range(10)",
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
    """The Python variables of a loop: its index from 0, and its length."""

    index: str
    length: str


def const(value: object) -> ast.Constant:
    return ast.Constant(value)  # type: ignore[arg-type]


def load(name: str) -> ast.Name:
    return ast.Name(name, ast.Load())


def call(function: str, *args: ast.expr) -> ast.Call:
    return ast.Call(load(function), list(args), [])


def call_meter(method: str, *args: ast.expr) -> ast.Call:
    return ast.Call(ast.Attribute(load("meter"), method, ast.Load()), list(args), [])


class ExpressionCompiler:
    """Compiles expressions of one template.

    After it, `slots` has the fields that were used, `metered` says whether the code needs a
    `meter`, `inexact` whether its output can hold line breaks or controls that neither the
    template's text nor a cleaned value has.
    """

    def __init__(self, columns: Columns, *, html: bool, derived: bool) -> None:
        self._columns = columns
        self._html = html
        self._filters = functions.HTML_FILTERS if html else functions.TEXT_FILTERS
        if derived:
            self._filters = functions.DERIVED_FILTERS
        self._derived = derived
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
        compile_ = _EXPRESSIONS.get(type(node))
        if compile_ is None:
            raise Unfit(node.lineno, f"{describe(node)} is not available in campaign templates")
        self._enter(node)
        code = compile_(self, node)
        self._depth -= 1
        code.node.lineno = code.node.end_lineno = node.lineno
        return code

    def present(self, node: nodes.Node) -> ast.expr:
        """The expression, checked not to be missing."""
        return self._present(self.expression(node))

    def _present(self, code: Code) -> ast.expr:
        if code.missing is None:
            return code.node
        value: ast.expr = code.node
        again: ast.expr = code.node
        if isinstance(value, ast.Name):
            again = load(value.id)
        else:
            name = self.fresh("t")
            value, again = ast.NamedExpr(ast.Name(name, ast.Store()), value), load(name)
        test = ast.Compare(value, [ast.IsNot()], [const(None)])
        checked = ast.IfExp(test, again, call("missing", const(code.missing)))
        if hasattr(code.node, "lineno"):
            checked.lineno = checked.end_lineno = code.node.lineno
        return checked

    def fresh(self, prefix: str) -> str:
        self._count += 1
        return f"{prefix}{self._count}"

    def _enter(self, node: nodes.Node) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise Unfit(node.lineno, f"nested more than {MAX_DEPTH} deep")

    def _apply(self, function: str, of: Mapping[str, Any], *args: ast.expr) -> ast.Call:
        """A metered call of `of[function]`."""
        self.metered = True
        name = f"f_{function}"
        self.names[name] = of[function]
        return call_meter("apply", load(name), *args)

    def _operate(self, operator: str, *args: ast.expr) -> ast.Call:
        return self._apply(operator, functions.OPERATORS, *args)

    # Names

    def _name(self, node: nodes.Name) -> Code:
        for scope in reversed(self._scopes):
            if node.name in scope:
                return Code(load(scope[node.name]), node.name)
        if node.name in NOT_A_VALUE:
            raise Unfit(node.lineno, f"{node.name} is not a value: {NOT_A_VALUE[node.name]}")
        return self._field(node.name, node.lineno)

    def _field(self, name: str, line: int) -> Code:
        if name in self._columns:
            slot = self._columns.slot(name)
            self.slots.add(slot)
            return Code(load(f"v{slot}"), f"merge field {name}" if slot else None)
        if any(name in guarded for guarded in self._guarded):
            return Code(const(None), f"merge field {name}")
        known = self._columns.names
        hint = _similar(name, known) or f"the columns are {', '.join(known[:12])}"
        raise Unfit(
            line,
            f"there is no column {name}; {hint}; or give it a default:"
            f" {{{{ {name} | default('...') }}}}",
        )

    def _constant(self, node: nodes.Const) -> Code:
        if node.value is None:
            return Code(const(None), "none")
        if isinstance(node.value, str) and not node.value.isprintable():
            self.inexact = True
        return Code(const(node.value))

    def _literal_text(self, node: nodes.TemplateData) -> Code:
        return Code(const(node.data))

    def _attribute(self, node: nodes.Getattr) -> Code:
        owner = node.node.name if isinstance(node.node, nodes.Name) else ""
        if owner == "fields":
            return self._field(node.attr, node.lineno)
        if owner == "loop" and self._loops:
            return Code(self._loop(node))
        raise Unfit(node.lineno, f"the attribute .{node.attr} is not available")

    def _loop(self, node: nodes.Getattr) -> ast.expr:
        loop = self._loops[-1]
        sources = {
            "index": "{i} + 1",
            "index0": "{i}",
            "revindex": "{n} - {i}",
            "revindex0": "{n} - {i} - 1",
            "first": "{i} == 0",
            "last": "{i} == {n} - 1",
            "length": "{n}",
        }
        if node.attr not in sources:
            raise Unfit(node.lineno, f"loop.{node.attr} is not available")
        source = sources[node.attr].format(i=loop.index, n=loop.length)
        return ast.parse(source, mode="eval").body

    def _item(self, node: nodes.Getitem) -> Code:
        if isinstance(node.node, nodes.Name) and node.node.name == "fields":
            if isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str):
                return self._field(node.arg.value, node.lineno)
            raise Unfit(node.lineno, 'fields needs a column name in quotes: fields["name"]')
        value = self.present(node.node)
        if isinstance(node.arg, nodes.Slice):
            parts = (node.arg.start, node.arg.stop, node.arg.step)
            limits = [const(None) if part is None else self.present(part) for part in parts]
            return Code(self._operate("cut", value, *limits))
        return Code(self._operate("item", value, self.present(node.arg)), "an item of a list")

    # Operators

    def _condition(self, node: nodes.CondExpr) -> Code:
        if node.expr2 is None:
            raise Unfit(node.lineno, "if without else: write {{ a if b else '' }}")
        with_guards = self.guard(node.test)
        test = self.present(node.test)
        one, two = self.expression(node.expr1), self.expression(node.expr2)
        with_guards()
        return Code(ast.IfExp(test, one.node, two.node), one.missing or two.missing)

    def _logic(self, node: nodes.And | nodes.Or) -> Code:
        operator = ast.And() if isinstance(node, nodes.And) else ast.Or()
        with_guards = self.guard(node)
        values = [self.present(node.left), self.present(node.right)]
        with_guards()
        return Code(ast.BoolOp(operator, values))

    def _not(self, node: nodes.Not) -> Code:
        return Code(ast.UnaryOp(ast.Not(), self.present(node.node)))

    def _sign(self, node: nodes.Neg | nodes.Pos) -> Code:
        operator = "sub" if isinstance(node, nodes.Neg) else "add"
        return Code(self._operate(operator, const(0), self.present(node.node)))

    def _arithmetic(self, node: nodes.BinExpr) -> Code:
        operator = type(node).__name__.lower()
        return Code(self._operate(operator, self.present(node.left), self.present(node.right)))

    def _concat(self, node: nodes.Concat) -> Code:
        operator = "concat_html" if self._html else "concat"
        return Code(self._operate(operator, *map(self.present, node.nodes)))

    def _compare(self, node: nodes.Compare) -> Code:
        left = self.present(node.expr)
        if len(node.ops) == 1 and node.ops[0].op in ("in", "notin"):
            found = self._operate("contains", left, self.present(node.ops[0].expr))
            return Code(found if node.ops[0].op == "in" else ast.UnaryOp(ast.Not(), found))
        operators: list[ast.cmpop] = []
        for operand in node.ops:
            if operand.op not in _COMPARE:
                raise Unfit(node.lineno, "in cannot be part of a chain of comparisons")
            operators.append(_COMPARE[operand.op]())
        return Code(ast.Compare(left, operators, [self.present(op.expr) for op in node.ops]))

    def _sequence(self, node: nodes.List | nodes.Tuple) -> Code:
        return Code(self._operate("list", *map(self.present, node.items)))

    # Calls

    def _filter(self, node: nodes.Filter) -> Code:
        if node.node is None:
            raise Unfit(node.lineno, "{% filter %} is not available in campaign templates")
        if node.name in ("default", "d"):
            return self._default(node)
        if node.name not in self._filters:
            raise Unfit(node.lineno, _unknown("filter", node.name, self._filters))
        function = self._filters[node.name]
        if node.name in functions.CAN_MAKE_CONTROLS or (self._derived and node.name == "safe"):
            self.inexact = True
        value = self.present(node.node)
        code = self._apply(node.name, self._filters, value)
        self._arguments(node, function, code)
        maybe_none = node.name in ("first", "last", "min", "max")
        return Code(code, f"the {node.name} of an empty list" if maybe_none else None)

    def _default(self, node: nodes.Filter) -> Code:
        assert node.node is not None  # noqa: S101 - _filter has checked
        options = {pair.key: pair.value for pair in node.kwargs}
        given = dict(zip(("default_value", "boolean"), node.args, strict=False)) | options
        boolean = given.pop("boolean", None)
        replacement = given.pop("default_value", nodes.Const("", lineno=node.lineno))
        if given or len(node.args) > 2 or node.dyn_args or node.dyn_kwargs:
            raise Unfit(node.lineno, "default takes a value, and true to replace empty ones too")
        if boolean is not None and not isinstance(boolean, nodes.Const):
            raise Unfit(node.lineno, "the second argument of default is true or false")
        self._guarded.append(_named(node.node))
        value = self.expression(node.node)
        self._guarded.pop()
        other = self.expression(replacement)
        if boolean is not None and boolean.value:
            return Code(ast.BoolOp(ast.Or(), [value.node, other.node]), other.missing)
        if value.missing is None:
            return value
        if isinstance(value.node, ast.Name):
            first, again = value.node, load(value.node.id)
        else:
            name = self.fresh("t")
            again = load(name)
            first = ast.NamedExpr(ast.Name(name, ast.Store()), value.node)  # type: ignore[assignment]
        test = ast.Compare(first, [ast.IsNot()], [const(None)])
        return Code(ast.IfExp(test, again, other.node), other.missing)

    def _test(self, node: nodes.Test) -> Code:
        if node.name in ("defined", "undefined", "none"):
            self._guarded.append(_named(node.node))
            value = self.expression(node.node)
            self._guarded.pop()
            operator = ast.IsNot() if node.name == "defined" else ast.Is()
            return Code(ast.Compare(value.node, [operator], [const(None)]))
        if node.name not in functions.TESTS:
            raise Unfit(node.lineno, _unknown("test", node.name, functions.TESTS))
        self.names[f"t_{node.name}"] = functions.TESTS[node.name]
        self.metered = True
        code = call_meter("apply", load(f"t_{node.name}"), self.present(node.node))
        self._arguments(node, functions.TESTS[node.name], code)
        return Code(code)

    def _call(self, node: nodes.Call) -> Code:
        target = node.node
        if isinstance(target, nodes.Name) and target.name == "range":
            code = self._operate("range")
            self._arguments(node, None, code)
            return Code(code)
        if not isinstance(target, nodes.Getattr):
            raise Unfit(node.lineno, f"{_source_name(target)} cannot be called")
        if isinstance(target.node, nodes.Name) and target.node.name == "loop" and self._loops:
            return self._cycle(node, target)
        if target.attr not in functions.METHODS:
            raise Unfit(node.lineno, _unknown("method", target.attr, functions.METHODS))
        self.names[f"m_{target.attr}"] = functions.METHODS[target.attr]
        self.metered = True
        code = call_meter("apply", load(f"m_{target.attr}"), self.present(target.node))
        self._arguments(node, None, code)
        return Code(code)

    def _cycle(self, node: nodes.Call, target: nodes.Getattr) -> Code:
        if target.attr != "cycle" or not node.args or node.kwargs or node.dyn_args:
            raise Unfit(node.lineno, f"loop.{target.attr} cannot be called so")
        items = self._operate("list", *map(self.present, node.args))
        turn = ast.BinOp(load(self._loops[-1].index), ast.Mod(), const(len(node.args)))
        return Code(ast.Subscript(items, turn, ast.Load()))

    def _arguments(
        self, node: nodes.Call | nodes.Filter | nodes.Test, function: Any, code: ast.Call
    ) -> None:
        """Adds the template's arguments to a call whose first argument is there already."""
        if node.dyn_args is not None or node.dyn_kwargs is not None:
            raise Unfit(node.lineno, "* and ** are not available in campaign templates")
        code.args += map(self.present, node.args)
        code.keywords += [ast.keyword(pair.key, self.present(pair.value)) for pair in node.kwargs]
        if function is None:
            if node.kwargs:
                raise Unfit(node.lineno, "arguments by name are for filters only")
            return
        try:
            inspect.signature(function).bind(
                None, *node.args, **{pair.key: pair.value for pair in node.kwargs}
            )
        except TypeError as error:
            raise Unfit(node.lineno, f"{describe(node)}: {error}") from None

    def guard(self, test: nodes.Node) -> Callable[[], object]:
        """Lets what `test` checks with `is defined` name columns that do not exist. Call what
        is returned when the test's branches are compiled."""
        tests = [test] if isinstance(test, nodes.Test) else []
        names: set[str] = set()
        for found in (*tests, *test.find_all(nodes.Test)):
            if found.name in ("defined", "undefined", "none"):
                names |= _named(found.node)
        self._guarded.append(names)
        return self._guarded.pop


def _named(node: nodes.Node) -> set[str]:
    """The field that a node names, if it is one."""
    if isinstance(node, nodes.Name):
        return {node.name}
    if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const):
        return {str(node.arg.value)}
    return {node.attr} if isinstance(node, nodes.Getattr) else set()


def _source_name(node: nodes.Node) -> str:
    return node.name if isinstance(node, nodes.Name) else "this"


def _similar(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), 1)
    return f"did you mean {close[0]}?" if close else ""


def _unknown(kind: str, name: str, known: Mapping[str, Any]) -> str:
    if kind == "filter" and name in functions.KNOWN_TO_JINJA:
        return f"the filter {name} is not available in campaign templates"
    hint = _similar(name, known) or f"there are {', '.join(sorted(known))}"
    return f"there is no {kind} {name}; {hint}"


def describe(node: nodes.Node) -> str:
    """What a template's author calls this."""
    if isinstance(node, (nodes.Filter, nodes.Test)):
        return f"the {type(node).__name__.lower()} {node.name}"
    if isinstance(node, nodes.Call):
        return "the call"
    names = {
        "Block": "{% block %}",
        "CallBlock": "{% call %}",
        "AssignBlock": "{% set %} as a block",
    }
    names |= {"FromImport": "{% from %}", "Pow": "**", "Dict": "{ }", "Scope": "{% with %}"}
    names |= {"ScopedEvalContextModifier": "{% autoescape %}", "FilterBlock": "{% filter %}"}
    name = type(node).__name__
    return names.get(name, f"{{% {name.lower()} %}}" if isinstance(node, nodes.Stmt) else name)


_EXPRESSIONS: Final[Mapping[type[nodes.Node], Callable[[ExpressionCompiler, Any], Code]]] = {
    nodes.Name: ExpressionCompiler._name,
    nodes.Const: ExpressionCompiler._constant,
    nodes.TemplateData: ExpressionCompiler._literal_text,
    nodes.Getattr: ExpressionCompiler._attribute,
    nodes.Getitem: ExpressionCompiler._item,
    nodes.CondExpr: ExpressionCompiler._condition,
    nodes.And: ExpressionCompiler._logic,
    nodes.Or: ExpressionCompiler._logic,
    nodes.Not: ExpressionCompiler._not,
    nodes.Neg: ExpressionCompiler._sign,
    nodes.Pos: ExpressionCompiler._sign,
    nodes.Add: ExpressionCompiler._arithmetic,
    nodes.Sub: ExpressionCompiler._arithmetic,
    nodes.Mul: ExpressionCompiler._arithmetic,
    nodes.Div: ExpressionCompiler._arithmetic,
    nodes.FloorDiv: ExpressionCompiler._arithmetic,
    nodes.Mod: ExpressionCompiler._arithmetic,
    nodes.Concat: ExpressionCompiler._concat,
    nodes.Compare: ExpressionCompiler._compare,
    nodes.List: ExpressionCompiler._sequence,
    nodes.Tuple: ExpressionCompiler._sequence,
    nodes.Filter: ExpressionCompiler._filter,
    nodes.Test: ExpressionCompiler._test,
    nodes.Call: ExpressionCompiler._call,
}
