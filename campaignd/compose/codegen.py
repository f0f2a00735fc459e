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

from campaignd.compose.calls import CallCompiler
from campaignd.compose.columns import Columns
from campaignd.compose.expressions import NOT_A_VALUE, Code, Loop, Unfit, checked_names
from campaignd.compose.meter import NODE_UNITS, STEP_UNITS, Meter
from campaignd.compose.pieces import Pieces, assigned, count_holes, is_flat
from campaignd.compose.pycode import assign, at_line, call, call_meter, const, load
from campaignd.compose.wording import describe

PIECE_HOLES: Final = 32
"""Holes in one piece of output at most. What is emitted at once is bounded by this times
`values.MAX_ROW_CHARACTERS`."""

MAX_NODES: Final = 10_000
"""Nodes of a template's syntax tree, a hole being two or three. Compiling them takes under a
second."""

MAX_LOOPS: Final = 8
"""How deep loops nest; Python's limit is 20."""

Render = Callable[[tuple[Any, ...]], str]


class Form(NamedTuple):
    """What kind of text a template makes."""

    html: bool = False
    """Whether what is put in is escaped."""
    derived: bool = False
    """Whether it is a text that was derived from HTML."""
    line_break: str = "\r\n"
    """What is put for each line feed in the template's own text."""
    escape_fields: bool = True
    """False: plain fields have nothing to escape."""


class Compiled(NamedTuple):
    module: ast.Module
    """Defines a function `render(row)`."""
    names: dict[str, Any]
    """The globals that it needs, besides `missing`."""
    inexact: bool
    """Whether its output can hold line breaks or controls that neither the template's text nor
    a cleaned value has."""


def generate(template: nodes.Template, columns: Columns, form: Form) -> Compiled:
    """Raises Unfit."""
    if sum(1 for _ in template.find_all(nodes.Node)) > MAX_NODES:
        raise Unfit(1, "too many template tags: make it simpler")
    compiler = _BodyCompiler(columns, form)
    body = compiler.function(template.body)
    arguments = ast.arguments(
        posonlyargs=[], args=[ast.arg("row")], kwonlyargs=[], kw_defaults=[], defaults=[]
    )
    function = ast.FunctionDef("render", arguments, body, decorator_list=[], lineno=1)
    module = ast.fix_missing_locations(ast.Module([function], type_ignores=[]))
    return Compiled(module, compiler.names, compiler.inexact)


class _BodyCompiler(CallCompiler):
    def __init__(self, columns: Columns, form: Form) -> None:
        super().__init__(columns, html=form.html, derived=form.derived)
        self._form = form
        self._pieces = Pieces()
        self._block: list[ast.stmt] = []
        self._line = 1

    def function(self, body: list[nodes.Node]) -> list[ast.stmt]:
        """The statements of `render`."""
        if is_flat(body) and count_holes(body) <= PIECE_HOLES:
            self._collect(body, self._pieces)
            rest: list[ast.stmt] = [ast.Return(self._pieces.join())]
        else:
            self.metered = True
            self._statements(body, own_scope=True)
            rest = [*self._block, ast.Return(call_meter("output"))]
        start: list[ast.stmt] = []
        for slot in sorted(self.slots):
            value = ast.Subscript(load("row"), const(slot), ast.Load())
            start.append(assign(f"v{slot}", value))
        if self.metered:
            self.names["Meter"] = Meter
            start.append(assign("meter", call("Meter")))
        return start + rest

    # Flat output

    def _collect(self, body: Iterable[nodes.Node], pieces: Pieces) -> None:
        """Adds a flat body to `pieces`."""
        for node in body:
            if isinstance(node, nodes.Output):
                for child in node.nodes:
                    self._output(child, pieces)
            elif isinstance(node, nodes.If):
                choice = self._choice(node, node.elif_, node.else_)
                pieces.hole(choice, count_holes([node]))

    def _output(self, node: nodes.Node, pieces: Pieces) -> None:
        self._line = node.lineno
        if isinstance(node, nodes.TemplateData):
            pieces.text(node.data.replace("\n", self._form.line_break))
            return
        code = self.expression(node)
        if isinstance(code.node, ast.Constant) and code.missing is None:
            text = str(code.node.value)
            pieces.text(str(escape(text)) if self._form.html else text)
            return
        value = at_line(self.checked(code), node)
        if self._form.html and not self._has_nothing_to_escape(code):
            self.names["escape"] = escape
            value = at_line(call("escape", value), node)
        pieces.hole(value)

    def _has_nothing_to_escape(self, code: Code) -> bool:
        node = code.node
        is_field = isinstance(node, ast.Name) and node.id.startswith("v")
        return is_field and not self._form.escape_fields

    def _choice(
        self, node: nodes.If, others: list[nodes.If], otherwise: list[nodes.Node]
    ) -> ast.expr:
        """A flat `if`, its `elif`s and its `else` as an expression."""
        then, rest = Pieces(), Pieces()
        with self.deeper(node), self.guarded(checked_names(node.test)):
            test = self.present(node.test)
            self._collect(node.body, then)
            if others:
                rest.hole(self._choice(others[0], others[1:], otherwise))
            else:
                self._collect(otherwise, rest)
        return at_line(ast.IfExp(test, then.join(), rest.join()), node)

    # Statements

    def _append(self, statement: ast.stmt) -> None:
        statement.lineno = statement.end_lineno = self._line
        self._block.append(statement)

    def _flush(self) -> None:
        if self._pieces:
            self._append(ast.Expr(call_meter("emit", self._pieces.join())))
            self._pieces = Pieces()

    def _statements(self, body: Iterable[nodes.Node], *, own_scope: bool = False) -> None:
        """Appends the statements of a body to the present block."""
        body = list(body)
        if own_scope:
            self._open_scope(assigned(body))
        for node in body:
            if isinstance(node, nodes.Output):
                for child in node.nodes:
                    if self._pieces.holes >= PIECE_HOLES:
                        self._flush()
                    self._output(child, self._pieces)
            elif is_flat([node]) and count_holes([node]) <= PIECE_HOLES:
                if self._pieces.holes + count_holes([node]) > PIECE_HOLES:
                    self._flush()
                self._collect([node], self._pieces)
            else:
                self._flush()
                self._statement(node)
        self._flush()
        if own_scope:
            self._scopes.pop()

    def _in_block(self, body: Iterable[nodes.Node], *, own_scope: bool = False) -> list[ast.stmt]:
        outer, self._block = self._block, []
        self._statements(body, own_scope=own_scope)
        inner, self._block = self._block, outer
        return inner

    def _statement(self, node: nodes.Node) -> None:
        known = (inner.lineno for inner in (node, *node.find_all(nodes.Node)) if inner.lineno)
        self._line = next(known, self._line)  # Jinja2 gives {% autoescape %} no line
        with self.deeper(node):
            if isinstance(node, nodes.If):
                self._if(node, node.elif_, node.else_)
            elif isinstance(node, nodes.For):
                self._for(node)
            elif isinstance(node, nodes.Assign):
                self._set(node)
            else:
                raise Unfit(self._line, f"{describe(node)} is not available in campaign templates")

    def _if(self, node: nodes.If, others: list[nodes.If], otherwise: list[nodes.Node]) -> None:
        with self.deeper(node), self.guarded(checked_names(node.test)):
            statement = ast.If(self.present(node.test), [], [])
            self._append(statement)
            statement.body = self._in_block(node.body) or [ast.Pass()]
            if others:
                outer, self._block = self._block, statement.orelse
                self._if(others[0], others[1:], otherwise)
                self._block = outer
            else:
                statement.orelse = self._in_block(otherwise)

    def _for(self, node: nodes.For) -> None:
        if node.recursive or not isinstance(node.target, nodes.Name):
            raise Unfit(node.lineno, "for takes one name, and is not recursive")
        if len(self._loops) >= MAX_LOOPS:
            raise Unfit(node.lineno, f"loops are nested more than {MAX_LOOPS} deep")
        _check_name(node.target)
        items, item = self.fresh("l"), self.fresh("x")
        loop = Loop(self.fresh("i"), self.fresh("n"))
        self._append(assign(items, call_meter("items", self.present(node.iter))))
        self._scopes.append({node.target.name: item})
        if node.test is not None:
            self._keep_if(node.test, items, item)
        self.names |= {"count": len, "enumerate": enumerate}
        self._append(assign(loop.size, call("count", load(items))))
        target = ast.Tuple([ast.Name(name, ast.Store()) for name in (loop.at, item)], ast.Store())
        statement = ast.For(target, call("enumerate", load(items)), [], [])
        self._append(statement)
        cost = STEP_UNITS + NODE_UNITS * sum(1 for _ in node.find_all(nodes.Node))
        self._loops.append(loop)
        spend = ast.Expr(call_meter("spend", const(cost)))
        statement.body = [spend, *self._in_block(node.body, own_scope=True)]
        self._loops.pop()
        self._scopes.pop()
        if node.else_:
            is_empty = ast.UnaryOp(ast.Not(), load(items))
            otherwise = self._in_block(node.else_, own_scope=True) or [ast.Pass()]
            self._append(ast.If(is_empty, otherwise, []))

    def _keep_if(self, test: nodes.Node, items: str, item: str) -> None:
        """Reduces a loop's list to what its own `if` lets through."""
        kept = self.fresh("l")
        append = ast.Attribute(load(kept), "append", ast.Load())
        keep = ast.If(self.present(test), [ast.Expr(ast.Call(append, [load(item)], []))], [])
        spend = ast.Expr(call_meter("spend", const(STEP_UNITS)))
        self._append(assign(kept, ast.List([], ast.Load())))
        self._append(ast.For(ast.Name(item, ast.Store()), load(items), [spend, keep], []))
        self._append(assign(items, load(kept)))

    def _set(self, node: nodes.Assign) -> None:
        if not isinstance(node.target, nodes.Name):
            raise Unfit(node.lineno, "set takes one name")
        _check_name(node.target)
        value = self.expression(node.node)
        self._append(assign(self._scopes[-1][node.target.name], value.node))

    def _open_scope(self, names: set[str]) -> None:
        """What is set in a body becomes variables of it, which begin with the value that the
        name has outside."""
        scope: dict[str, str] = {}
        for name in sorted(names - NOT_A_VALUE.keys()):
            with self.guarded({name}):
                outside = self.expression(nodes.Name(name, "load", lineno=self._line))
            scope[name] = self.fresh("s")
            self._append(assign(scope[name], outside.node))
        self._scopes.append(scope)


def _check_name(target: nodes.Name) -> None:
    if target.name in NOT_A_VALUE:
        raise Unfit(target.lineno, f"{target.name} is taken: use another name")
