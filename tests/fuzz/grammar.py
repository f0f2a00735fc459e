"""Templates that mostly compile: sentences of the language, rather than pieces of it."""

from __future__ import annotations

from typing import Final

from tests.fuzz.choices import Choices

FIELDS: Final = ("a", "b", "n", "fields['a b']", "email", "i", "x", "c", "loop.index", "none")
_CONSTANTS: Final = ("0", "1", "-3", "2.5", "'x'", "'<b>&'", "''", "true", "'%s'", "'&#10;'")
_OPERATORS: Final = [
    "~",
    "+",
    "-",
    "*",
    "/",
    "//",
    "%",
    "**",
    "==",
    "!=",
    "<",
    ">=",
    "and",
    "or",
    "in",
    "not_in",
    "is_odd",
    "is_divisibleby",
]
_FILTERS: Final = [
    "abs",
    "capitalize",
    "count",
    "default('d')",
    "default('d',true)",
    "e",
    "escape",
    "first",
    "float",
    "forceescape",
    "format(1)",
    "int",
    "join('-')",
    "last",
    "length",
    "list",
    "lower",
    "max",
    "min",
    "replace('a','b')",
    "reverse",
    "round(1)",
    "safe",
    "sort",
    "string",
    "striptags",
    "sum",
    "title",
    "tojson",
    "trim",
    "truncate(9)",
    "unique",
    "upper",
    "urlencode",
    "wordcount",
    "attr('x')",
    "map('upper')",
    "nosuch",
]
_METHODS: Final = [
    "upper()",
    "split()",
    "split(',')",
    "splitlines()",
    "startswith('a')",
    "title()",
    "find('a')",
    "strip('x')",
    "removeprefix('a')",
    "swapcase()",
    "format('x')",
    "__class__",
    "join(['a'])",
    "count('a')",
    "isdigit()",
]


def template(choices: Choices) -> str:
    return _body(choices, 3)


def _body(choices: Choices, depth: int) -> str:
    return "".join(_node(choices, depth) for _ in range(choices.number(0, 4)))


def _node(choices: Choices, depth: int) -> str:
    turn = choices.number(0, 9) if depth else choices.number(0, 5)
    if turn < 2:
        return choices.pick(("text ", "<p>", "\n", "&amp;", "ü", ".", "\u2028"))
    if turn < 6:
        return "{{ " + _expression(choices, depth) + " }}"
    condition = _expression(choices, depth - 1)
    if turn == 6:
        return f"{{% set {choices.pick(('x', 'c', 'a'))} = {condition} %}}"
    inside = _body(choices, depth - 1)
    other = "{% else %}" + _body(choices, depth - 1) if choices.flag() else ""
    if turn < 9:
        return f"{{% if {condition} %}}{inside}{other}{{% endif %}}"
    some = choices.pick(("", "", f" if {_expression(choices, 0)}"))
    return f"{{% for i in {condition}{some} %}}{inside}{other}{{% endfor %}}"


def _expression(choices: Choices, depth: int) -> str:
    turn = choices.number(0, 9) if depth > 0 else choices.number(0, 3)
    if turn < 3:
        return choices.pick(FIELDS)
    if turn == 3:
        return choices.pick(_CONSTANTS)
    one = _expression(choices, depth - 1)
    if turn == 4:
        return f"{one}|{choices.pick(_FILTERS)}"
    if turn == 5:
        return f"({one}).{choices.pick(_METHODS)}"
    if turn == 6:
        return choices.pick((f"not {one}", f"({one})[0]", f"({one})[1:]", f"-({one})", f"[{one}]"))
    other = _expression(choices, depth - 1)
    if turn == 7:
        return f"({one} if {_expression(choices, depth - 1)} else {other})"
    if turn == 8:
        return choices.pick((f"range({one})", f"loop.cycle({one}, {other})", f"[{one}, {other}]"))
    operator = choices.pick(_OPERATORS).replace("_", " ")
    return f"({one} {operator} ({other}))"
