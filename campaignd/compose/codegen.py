"""Compiles a template's text and statements to one Python function.

Where a template has neither loops nor assignments, and few holes, the function is a single
f-string. Else it emits piece by piece through a `meter.Meter`, which bounds it.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

from jinja2 import nodes
from markupsafe import escape

from campaignd.compose.columns import Columns
from campaignd.compose.expressions import (
    NOT_A_VALUE,
    Code,
    ExpressionCompiler,
    Loop,
    Unfit,
    call,
    call_meter,
    const,
    describe,
    load,
)
from campaignd.compose.meter import STEP_UNITS, Meter

PIECE_HOLES: Final = 32
"""Holes in one piece of output at most. What is emitted at once is bounded by this times
`values.MAX_ROW_CHARACTERS`."""

Render = Callable[[tuple[Any, ...]], str]


class Compiled(NamedTuple):
    module: ast.Module
    """Defines a function `render(row)`."""
    names: dict[str, Any]
    """The globals that it needs."""
    inexact: bool
    """Whether its output can hold line breaks or controls that neither the template's text nor
    a cleaned value has."""


def generate(
    template: nodes.Template,
    columns: Columns,
    *,
    html: bool,
    derived: bool = False,
    escape_fields: bool = True,
    line_break: str = "\r\n",
) -> Compiled:
    """`html`: what is put in is escaped, but for plain fields if not `escape_fields`.
    `line_break` is put for each line feed in the template's own text. Raises Unfit."""
    compiler = _BodyCompiler(
        columns, html=html, derived=derived, escape_fields=escape_fields, line_break=line_break
    )
    body = compiler.function(template.body)
    arguments = ast.arguments(
        posonlyargs=[], args=[ast.arg("row")], kwonlyargs=[], kw_defaults=[], defaults=[]
    )
    function = ast.FunctionDef("render", arguments, body, decorator_list=[], lineno=1)
    module = ast.fix_missing_locations(ast.Module([function], type_ignores=[]))
    return Compiled(module, compiler.names, compiler.inexact)


class _Pieces:
    """Output that is not emitted yet: literal text and holes."""

    def __init__(self) -> None:
        self._parts: list[ast.expr] = []
        self.holes = 0

    def __bool__(self) -> bool:
        return bool(self._parts)

    def text(self, text: str) -> None:
        last = self._parts[-1] if self._parts else None
        if isinstance(last, ast.Constant):
            self._parts[-1] = const(last.value + text)
        elif text:
            self._parts.append(const(text))

    def hole(self, value: ast.expr, holes: int = 1) -> None:
        self._parts.append(ast.FormattedValue(value, -1, None))
        self.holes += holes

    def join(self) -> ast.expr:
        if all(isinstance(part, ast.Constant) for part in self._parts):
            return self._parts[0] if self._parts else const("")
        return ast.JoinedStr(self._parts)


class _BodyCompiler(ExpressionCompiler):
    def __init__(
        self,
        columns: Columns,
        *,
        html: bool,
        derived: bool,
        escape_fields: bool,
        line_break: str,
    ) -> None:
        super().__init__(columns, html=html, derived=derived)
        self._escape_fields = escape_fields
        self._line_break = line_break
        self._pieces = _Pieces()
        self._block: list[ast.stmt] = []
        self._line = 1

    def function(self, body: list[nodes.Node]) -> list[ast.stmt]:
        """The statements of `render`."""
        if self._fits_one_piece(body):
            self._collect(body, self._pieces)
            end: list[ast.stmt] = [ast.Return(self._pieces.join())]
        else:
            self._statements(body, own_scope=True)
            self.metered = True
            end = [*self._block, ast.Return(call_meter("output"))]
        start: list[ast.stmt] = []
        for slot in sorted(self.slots):
            value = ast.Subscript(load("row"), const(slot), ast.Load())
            start.append(_assign(f"v{slot}", value))
        if self.metered:
            self.names["Meter"] = Meter
            start.append(_assign("meter", call("Meter")))
        return start + end

    def _fits_one_piece(self, body: Iterable[nodes.Node]) -> bool:
        return _is_flat(body) and _holes(body) <= PIECE_HOLES

    # Flat output

    def _collect(self, body: Iterable[nodes.Node], pieces: _Pieces) -> None:
        """Adds a flat body to `pieces`."""
        for node in body:
            if isinstance(node, nodes.Output):
                for child in node.nodes:
                    self._output(child, pieces)
            elif isinstance(node, nodes.If):
                pieces.hole(self._choice(node, node.elif_, node.else_), _holes([node]))

    def _output(self, node: nodes.Node, pieces: _Pieces) -> None:
        self._line = node.lineno
        if isinstance(node, nodes.TemplateData):
            pieces.text(node.data.replace("\n", self._line_break))
            return
        if isinstance(node, nodes.Const) and node.value is not None:
            text = str(self.expression(node).node.value)  # type: ignore[attr-defined]
            pieces.text(str(escape(text)) if self._html else text)
            return
        code = self.expression(node)
        value = self._present(code)
        if self._html and not self._is_trusted(code):
            self.names["escape"] = escape
            value = call("escape", value)
            value.lineno = value.end_lineno = node.lineno
        pieces.hole(value)

    def _is_trusted(self, code: Code) -> bool:
        """Whether this is a plain field, and the row's fields need no escaping."""
        node = code.node
        return not self._escape_fields and isinstance(node, ast.Name) and node.id[0] == "v"

    def _choice(
        self, node: nodes.If, others: list[nodes.If], otherwise: list[nodes.Node]
    ) -> ast.expr:
        """A flat `if`, its `elif`s and its `else` as an expression."""
        self._enter(node)
        end_guard = self.guard(node.test)
        test = self.present(node.test)
        then, rest = _Pieces(), _Pieces()
        self._collect(node.body, then)
        if others:
            rest.hole(self._choice(others[0], others[1:], otherwise))
        else:
            self._collect(otherwise, rest)
        end_guard()
        self._depth -= 1
        choice = ast.IfExp(test, then.join(), rest.join())
        choice.lineno = choice.end_lineno = node.lineno
        return choice

    # Statements

    def _flush(self) -> None:
        if self._pieces:
            self.metered = True
            self._append(ast.Expr(call_meter("emit", self._pieces.join())))
            self._pieces = _Pieces()

    def _append(self, statement: ast.stmt) -> None:
        statement.lineno = statement.end_lineno = self._line
        self._block.append(statement)

    def _statements(self, body: Iterable[nodes.Node], *, own_scope: bool = False) -> None:
        """Appends the statements of a body to the present block."""
        if own_scope:
            self._open_scope(body)
        for node in body:
            if isinstance(node, nodes.Output):
                for child in node.nodes:
                    if self._pieces.holes >= PIECE_HOLES:
                        self._flush()
                    self._output(child, self._pieces)
            elif isinstance(node, nodes.If) and self._fits_one_piece([node]):
                if self._pieces.holes + _holes([node]) > PIECE_HOLES:
                    self._flush()
                self._collect([node], self._pieces)
            else:
                self._flush()
                self._statement(node)
        self._flush()
        if own_scope:
            self._scopes.pop()

    def _statement(self, node: nodes.Node) -> None:
        self._enter(node)
        self._line = node.lineno
        if isinstance(node, nodes.If):
            self._if(node, node.elif_, node.else_)
        elif isinstance(node, nodes.For):
            self._for(node)
        elif isinstance(node, nodes.Assign):
            self._set(node)
        else:
            raise Unfit(node.lineno, f"{describe(node)} is not available in campaign templates")
        self._depth -= 1

    def _in_block(self, body: Iterable[nodes.Node], *, own_scope: bool = False) -> list[ast.stmt]:
        outer, self._block = self._block, []
        self._statements(body, own_scope=own_scope)
        inner, self._block = self._block, outer
        return inner

    def _if(self, node: nodes.If, others: list[nodes.If], otherwise: list[nodes.Node]) -> None:
        end_guard = self.guard(node.test)
        statement = ast.If(self.present(node.test), [], [])
        self._append(statement)
        statement.body = self._in_block(node.body) or [ast.Pass()]
        if others:
            outer, self._block = self._block, statement.orelse
            self._enter(node)
            self._if(others[0], others[1:], otherwise)
            self._depth -= 1
            self._block = outer
        else:
            statement.orelse = self._in_block(otherwise)
        end_guard()

    def _for(self, node: nodes.For) -> None:
        if node.recursive or not isinstance(node.target, nodes.Name):
            raise Unfit(node.lineno, "for takes one name, and is not recursive")
        _check_name(node.target)
        self.metered = True
        items, length = self.fresh("l"), self.fresh("n")
        index, item = self.fresh("i"), self.fresh("x")
        self._append(_assign(items, call_meter("items", self.present(node.iter))))
        self._scopes.append({node.target.name: item})
        if node.test is not None:
            self._keep_if(node.test, items, item)
        self.names |= {"length_of": len, "enumerate": enumerate}
        self._append(_assign(length, call("length_of", load(items))))
        cost = STEP_UNITS + sum(1 for _ in node.find_all(nodes.Node))
        spend = ast.Expr(call_meter("spend", const(cost)))
        target = ast.Tuple([ast.Name(index, ast.Store()), ast.Name(item, ast.Store())], ast.Store())
        statement = ast.For(target, call("enumerate", load(items)), [], [])
        self._append(statement)
        self._loops.append(Loop(index, length))
        statement.body = [spend, *self._in_block(node.body, own_scope=True)]
        self._loops.pop()
        self._scopes.pop()
        if node.else_:
            empty = ast.UnaryOp(ast.Not(), load(items))
            self._append(ast.If(empty, self._in_block(node.else_), []))

    def _keep_if(self, test: nodes.Node, items: str, item: str) -> None:
        """Reduces a loop's list to what its own `if` lets through."""
        kept = self.fresh("l")
        self._append(_assign(kept, ast.List([], ast.Load())))
        append = ast.Attribute(load(kept), "append", ast.Load())
        keep = ast.If(self.present(test), [ast.Expr(ast.Call(append, [load(item)], []))], [])
        spend = ast.Expr(call_meter("spend", const(STEP_UNITS)))
        target = ast.Name(item, ast.Store())
        self._append(ast.For(target, load(items), [spend, keep], []))
        self._append(_assign(items, load(kept)))

    def _set(self, node: nodes.Assign) -> None:
        if not isinstance(node.target, nodes.Name):
            raise Unfit(node.lineno, "set takes one name")
        _check_name(node.target)
        value = self.expression(node.node)
        self._append(_assign(self._scopes[-1][node.target.name], value.node))

    def _open_scope(self, body: Iterable[nodes.Node]) -> None:
        """What is set in this body, outside of its loops, becomes variables of it, which begin
        with the value that the name has outside."""
        scope: dict[str, str] = {}
        for name in sorted(_assigned(body) - NOT_A_VALUE.keys()):
            self._guarded.append({name})
            outside = self.expression(nodes.Name(name, "load", lineno=self._line))
            self._guarded.pop()
            scope[name] = self.fresh("s")
            self._append(_assign(scope[name], outside.node))
        self._scopes.append(scope)


def _check_name(target: nodes.Name) -> None:
    if target.name in NOT_A_VALUE:
        raise Unfit(target.lineno, f"{target.name} is taken: use another name")


def _assign(name: str, value: ast.expr) -> ast.Assign:
    return ast.Assign([ast.Name(name, ast.Store())], value)


def _is_flat(body: Iterable[nodes.Node]) -> bool:
    """Whether there are only text, holes and conditions in it."""
    return all(
        isinstance(node, nodes.Output)
        or (isinstance(node, nodes.If) and _is_flat([*node.body, *node.elif_, *node.else_]))
        for node in body
    )


def _holes(body: Iterable[nodes.Node]) -> int:
    return sum(
        sum(not isinstance(child, nodes.TemplateData) for child in output.nodes)
        for node in body
        for output in ([node] if isinstance(node, nodes.Output) else node.find_all(nodes.Output))
    )


def _assigned(body: Iterable[nodes.Node]) -> set[str]:
    names: set[str] = set()
    for node in body:
        if isinstance(node, nodes.Assign) and isinstance(node.target, nodes.Name):
            names.add(node.target.name)
        elif isinstance(node, nodes.If):
            names |= _assigned([*node.body, *node.elif_, *node.else_])
    return names
