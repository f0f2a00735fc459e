"""Makes pieces of Python's syntax tree, shortly."""

from __future__ import annotations

import ast

from jinja2 import nodes


def const(value: str | float | bool | None) -> ast.Constant:
    return ast.Constant(value)


def load(name: str) -> ast.Name:
    return ast.Name(name, ast.Load())


def call(function: str, *args: ast.expr) -> ast.Call:
    return ast.Call(load(function), list(args), [])


def call_meter(method: str, *args: ast.expr) -> ast.Call:
    return ast.Call(ast.Attribute(load("meter"), method, ast.Load()), list(args), [])


def assign(name: str, value: ast.expr) -> ast.Assign:
    return ast.Assign([ast.Name(name, ast.Store())], value)


def at_line(code: ast.expr, node: nodes.Node) -> ast.expr:
    """Gives Python code the line of the template's construct, for tracebacks."""
    code.lineno = code.end_lineno = node.lineno
    return code
