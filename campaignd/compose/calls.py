"""Compiles filters, tests and calls: only to what `functions` lists, with arguments that fit."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from jinja2 import nodes

from campaignd.compose import functions
from campaignd.compose.columns import Columns
from campaignd.compose.expressions import EXISTENCE_TESTS, Code, ExpressionCompiler, Unfit, named
from campaignd.compose.pycode import const, load
from campaignd.compose.wording import describe, unknown


class CallCompiler(ExpressionCompiler):
    """See ExpressionCompiler. `derived` is for a text that is derived from HTML."""

    handlers: ClassVar[dict[type[nodes.Node], str]] = {
        **ExpressionCompiler.handlers,
        nodes.Filter: "_filter",
        nodes.Test: "_test",
        nodes.Call: "_call",
    }

    def __init__(self, columns: Columns, *, html: bool, derived: bool) -> None:
        super().__init__(columns, html=html)
        self._filters: Mapping[str, Callable[..., Any]] = functions.TEXT_FILTERS
        if html:
            self._filters = functions.HTML_FILTERS
        elif derived:
            self._filters = functions.DERIVED_FILTERS

    def _filter(self, node: nodes.Filter) -> Code:
        if node.node is None:
            raise Unfit(node.lineno, "{% filter %} is not available in campaign templates")
        if node.name in ("default", "d"):
            return self._default(node, node.node)
        function = self._filters.get(node.name)
        if function is None:
            raise Unfit(node.lineno, unknown("filter", node.name, self._filters))
        if function in functions.CAN_MAKE_CONTROLS:
            self.inexact = True
        code = self.apply("f_", node.name, function, self.present(node.node))
        self._arguments(node, function, code)
        may_be_none = node.name in functions.MAY_GIVE_NONE
        return Code(code, f"the {node.name} of an empty list" if may_be_none else None)

    def _default(self, node: nodes.Filter, of: nodes.Node) -> Code:
        given = dict(zip(("default_value", "boolean"), node.args, strict=False))
        given |= _by_name(node)
        empty_too = given.pop("boolean", nodes.Const(False))
        replacement = given.pop("default_value", nodes.Const("", lineno=node.lineno))
        too_many = given or len(node.args) > 2 or node.dyn_args or node.dyn_kwargs
        if too_many or not isinstance(empty_too, nodes.Const):
            raise Unfit(node.lineno, "write default(value), or default(value, true)")
        with self.guarded(named(of)):
            value = self.expression(of)
        other = self.expression(replacement)
        if empty_too.value:
            return Code(ast.BoolOp(ast.Or(), [value.node, other.node]), other.missing)
        if value.missing is None:
            return value
        return Code(self.or_else(value.node, other.node), other.missing)

    def _test(self, node: nodes.Test) -> Code:
        if node.name in EXISTENCE_TESTS:
            with self.guarded(named(node.node)):
                value = self.expression(node.node)
            if isinstance(value.node, ast.Constant):
                return Code(const((value.node.value is not None) == (node.name == "defined")))
            operator = ast.IsNot() if node.name == "defined" else ast.Is()
            return Code(ast.Compare(value.node, [operator], [const(None)]))
        function = functions.TESTS.get(node.name)
        if function is None:
            raise Unfit(node.lineno, unknown("test", node.name, functions.TESTS))
        code = self.apply("t_", node.name, function, self.present(node.node))
        self._arguments(node, function, code)
        return Code(code)

    def _call(self, node: nodes.Call) -> Code:
        target = node.node
        if isinstance(target, nodes.Name) and target.name == "range":
            code = self.operate("range")
            self._arguments(node, None, code)
            return Code(code)
        if not isinstance(target, nodes.Getattr):
            raise Unfit(node.lineno, "only range, loop.cycle and methods of texts can be called")
        if isinstance(target.node, nodes.Name) and target.node.name == "loop":
            return self._cycle(node, target)
        function = functions.METHODS.get(target.attr)
        if function is None:
            raise Unfit(node.lineno, unknown("method", target.attr, functions.METHODS))
        code = self.apply("m_", target.attr, function, self.present(target.node))
        self._arguments(node, None, code)
        return Code(code)

    def _cycle(self, node: nodes.Call, target: nodes.Getattr) -> Code:
        if target.attr != "cycle" or not self._loops or not node.args:
            raise Unfit(node.lineno, f"loop.{target.attr} cannot be called here")
        items = self.operate("list")
        self._arguments(node, None, items)
        turn = ast.BinOp(load(self._loops[-1].at), ast.Mod(), const(len(node.args)))
        return Code(ast.Subscript(items, turn, ast.Load()))

    def _arguments(
        self,
        node: nodes.Call | nodes.Filter | nodes.Test,
        function: Callable[..., Any] | None,
        code: ast.Call,
    ) -> None:
        """Adds the template's arguments to a call that has its first already. With `function`
        they may be by name, and must fit."""
        if node.dyn_args is not None or node.dyn_kwargs is not None:
            raise Unfit(node.lineno, "* and ** are not available in campaign templates")
        by_name = _by_name(node)
        code.args += map(self.present, node.args)
        code.keywords += [ast.keyword(key, self.present(value)) for key, value in by_name.items()]
        if function is None:
            if by_name:
                raise Unfit(node.lineno, "arguments by name are for filters only")
            return
        try:
            inspect.signature(function).bind(None, *node.args, **by_name)
        except TypeError as error:
            raise Unfit(node.lineno, f"{describe(node)}: {error}") from None


def _by_name(node: nodes.Call | nodes.Filter | nodes.Test) -> dict[str, nodes.Expr]:
    # Jinja2's annotation says pairs, its parser makes keywords.
    return {str(keyword.key): keyword.value for keyword in node.kwargs}
