"""What a campaign's templates may call: filters, tests, methods, operators.

All else does not exist for them. Each function's result is bounded by what it is given, or
checked before it is made; `meter.Meter` charges for both. Where Jinja2 has the function, this
is Jinja2's, so that it means what its documentation says.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from jinja2 import filters as jinja
from jinja2 import tests as jinja_tests
from jinja2.nodes import EvalContext
from jinja2.runtime import markup_join, str_join
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import escape, soft_str

from campaignd.compose.meter import MAX_OUTPUT_CHARACTERS, Overrun

MAX_RANGE: Final = 10_000
_MAX_NUMBER: Final = 2**63
_MAX_PRECISION: Final = 15
_ESCAPED_GROWTH: Final = 5
"""How much longer escaping makes a character at most: `"` becomes `&#34;`."""

_FORMAT: Final = re.compile(r"(?:[^%]|%%|%[-+ 0]?\d{0,2}(?:\.\d{1,2})?[sdifeEgGxX])*", re.DOTALL)

_TEST_NAMES: Final = (
    "boolean eq equalto false float ge greaterthan gt integer le lessthan lower lt ne number"
    " string true upper"
)
_METHOD_NAMES: Final = (
    "capitalize casefold count endswith find isalnum isalpha isdigit islower isnumeric isspace"
    " istitle isupper lower lstrip removeprefix removesuffix rfind rsplit rstrip split"
    " splitlines startswith strip swapcase title upper"
)

_PLAIN: Final = ImmutableSandboxedEnvironment()
_HTML: Final = ImmutableSandboxedEnvironment(autoescape=True)


def _bounded(length: int) -> None:
    if length > MAX_OUTPUT_CHARACTERS:
        raise Overrun(f"the template makes a text of more than {MAX_OUTPUT_CHARACTERS} characters")


def _kind(value: object) -> str:
    """What a template's author calls this type."""
    kinds = {str: "a text", list: "a list", bool: "a truth value", type(None): "nothing"}
    return next((kind for type_, kind in kinds.items() if isinstance(value, type_)), "a number")


def _number(value: Any) -> Any:
    if isinstance(value, int) and abs(value) >= _MAX_NUMBER:
        raise Overrun("the template calculates with numbers of more than 64 bits")
    return value


def _numeric(symbol: str, function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def operator(left: Any, right: Any) -> Any:
        if isinstance(left, (int, float)) and isinstance(right, (int, float)):
            return _number(function(left, right))
        raise TypeError(
            f"{symbol} needs two numbers, not {_kind(left)} and {_kind(right)}:"
            " use the filter int or float"
        )

    return operator


def _add(left: Any, right: Any) -> Any:
    if isinstance(left, str) and isinstance(right, str):
        _bounded(len(left) + len(right) * _ESCAPED_GROWTH)
        return left + right
    return _add_numbers(left, right)


_add_numbers: Final = _numeric("+", lambda left, right: left + right)


_modulo: Final = _numeric("%", lambda left, right: left % right)
"""Of numbers only: of a text, `%` would format, at any width that the text asks for."""


def _contains(item: Any, container: Any) -> bool:
    if isinstance(container, str) and not isinstance(item, str):
        raise TypeError(f"{_kind(item)} cannot be in a text")
    return item in container


def _item(value: Any, key: Any) -> Any:
    """`value[key]`; None, which is `missing`, beyond the end."""
    if not isinstance(value, (str, list)) or not isinstance(key, int):
        raise TypeError(f"{_kind(value)} has no item {str(key)[:40]!r}")
    return value[key] if -len(value) <= key < len(value) else None


def _cut(value: Any, start: Any, stop: Any, step: Any) -> Any:
    if not isinstance(value, (str, list)):
        raise TypeError(f"{_kind(value)} has no slices")
    return value[start:stop:step]


def _list(*items: Any) -> list[Any]:
    if any(isinstance(item, list) for item in items):
        raise TypeError("a list cannot hold lists")
    return list(items)


def _range(*args: Any) -> list[int]:
    numbers = range(*args)
    if len(numbers[: MAX_RANGE + 1]) > MAX_RANGE:
        raise Overrun(f"range is limited to {MAX_RANGE} numbers")
    return list(numbers)


def _concat(html: bool, *parts: Any) -> str:
    _bounded(sum(len(part) for part in parts if isinstance(part, (str, list))) * _ESCAPED_GROWTH)
    return markup_join(parts) if html else str_join(parts)


def _replace(context: EvalContext, s: Any, old: Any, new: Any, count: Any = None) -> str:
    text, found, put = soft_str(s), soft_str(old), soft_str(new)
    times = text.count(found) if found else len(text) + 1
    _bounded((len(text) + times * len(put)) * _ESCAPED_GROWTH)
    return jinja.do_replace(context, s, old, new, count)


def _join(context: EvalContext, value: Any, d: Any = "") -> str:
    items = [soft_str(item) for item in value]
    length = sum(map(len, items)) + len(soft_str(d)) * len(items)
    _bounded(length * _ESCAPED_GROWTH)
    return jinja.sync_do_join(context, value, d)


def _truncate(
    s: Any, length: int = 255, killwords: bool = False, end: str = "...", leeway: int = 5
) -> str:
    if length < len(end) or leeway < 0:
        raise ValueError(f"truncate needs a length of at least {len(end)}")
    return jinja.do_truncate(_PLAIN, soft_str(s), length, killwords, end, leeway)


def _format(value: Any, *args: Any) -> str:
    text = soft_str(value)
    if not _FORMAT.fullmatch(text):
        raise ValueError("format knows %s, %d, %f, %e, %g and %x with a width below 100")
    _bounded(sum(len(soft_str(arg)) for arg in args) * _ESCAPED_GROWTH)
    return jinja.do_format(text, *args)


def _round(value: float, precision: int = 0, method: Any = "common") -> float:
    if not -_MAX_PRECISION <= precision <= _MAX_PRECISION:
        raise ValueError(f"round has at most {_MAX_PRECISION} digits")
    return jinja.do_round(value, precision, method)


def _int(value: Any, default: Any = 0, base: int = 10) -> Any:
    return _number(jinja.do_int(value, default, base))


def _sum(value: Any, start: Any = 0) -> Any:
    return _number(sum(value, start))


def _sort(value: Any, reverse: bool = False, case_sensitive: bool = False) -> list[Any]:
    return jinja.do_sort(_PLAIN, value, reverse, case_sensitive)


def _unique(value: Any, case_sensitive: bool = False) -> list[Any]:
    return list(jinja.sync_do_unique(_PLAIN, value, case_sensitive))


def _extreme(choose: Callable[..., Any], value: Any, case_sensitive: bool = False) -> Any:
    return choose(_PLAIN, value, case_sensitive) if value else None


def _reverse(value: Any) -> Any:
    return value[::-1]


def _urlencode(value: Any) -> str:
    return jinja.do_urlencode(value if isinstance(value, str) else str(value))


def _trim(value: Any, chars: str | None = None) -> str:
    return jinja.do_trim(value, chars)


def _characters(value: Any) -> list[Any]:
    return list(value)


def _first(value: Any) -> Any:
    return _item(value, 0)


def _last(value: Any) -> Any:
    return _item(value, -1)


def _method(name: str) -> Callable[..., Any]:
    def method(text: Any, *args: Any) -> Any:
        if not isinstance(text, str):
            raise TypeError(f"{name}() needs a text, not {_kind(text)}")
        return getattr(text, name)(*args)

    return method


def _filters(html: bool) -> dict[str, Callable[..., Any]]:
    context = EvalContext(_HTML if html else _PLAIN)
    return {
        "abs": abs,
        "capitalize": jinja.do_capitalize,
        "count": len,
        "e": escape,
        "escape": escape,
        "first": _first,
        "float": jinja.do_float,
        "forceescape": jinja.do_forceescape,
        "format": _format,
        "int": _int,
        "join": partial(_join, context),
        "last": _last,
        "length": len,
        "list": _characters,
        "lower": jinja.do_lower,
        "max": partial(_extreme, jinja.do_max),
        "min": partial(_extreme, jinja.do_min),
        "replace": partial(_replace, context),
        "reverse": _reverse,
        "round": _round,
        "safe": jinja.do_mark_safe,
        "sort": _sort,
        "string": soft_str,
        "striptags": jinja.do_striptags,
        "sum": _sum,
        "title": jinja.do_title,
        "tojson": partial(jinja.do_tojson, context),
        "trim": _trim,
        "truncate": _truncate,
        "unique": _unique,
        "upper": jinja.do_upper,
        "urlencode": _urlencode,
        "wordcount": jinja.do_wordcount,
    }


HTML_FILTERS: Final[Mapping[str, Callable[..., Any]]] = _filters(html=True)
TEXT_FILTERS: Final[Mapping[str, Callable[..., Any]]] = _filters(html=False)
DERIVED_FILTERS: Final[Mapping[str, Callable[..., Any]]] = {
    **TEXT_FILTERS,
    "e": soft_str,
    "escape": soft_str,
    "forceescape": soft_str,
    "safe": jinja.do_striptags,
}
"""For a text that is derived from HTML: there is nothing to escape, and what the HTML takes as
markup must lose it."""

CAN_MAKE_CONTROLS: Final = frozenset({jinja.do_striptags})
"""What can turn printable text into controls or line breaks (`&#10;`)."""

MAY_GIVE_NONE: Final = frozenset({"first", "last", "min", "max"})
"""Filters that give None, which is `missing`, for an empty list."""


def _tests() -> dict[str, Callable[..., Any]]:
    tests: dict[str, Any] = {name: jinja_tests.TESTS[name] for name in _TEST_NAMES.split()}
    tests["in"] = _contains
    tests["odd"] = lambda value: _modulo(value, 2) == 1
    tests["even"] = lambda value: _modulo(value, 2) == 0
    tests["divisibleby"] = lambda value, num: _modulo(value, num) == 0
    return tests


TESTS: Final[Mapping[str, Callable[..., Any]]] = _tests()

METHODS: Final[Mapping[str, Callable[..., Any]]] = {
    name: _method(name) for name in _METHOD_NAMES.split()
}
"""Methods of texts that templates may call. `format`, `join`, `replace` and those that pad are
filters here, or not there at all."""

OPERATORS: Final[Mapping[str, Callable[..., Any]]] = {
    "add": _add,
    "sub": _numeric("-", lambda left, right: left - right),
    "mul": _numeric("*", lambda left, right: left * right),
    "div": _numeric("/", lambda left, right: left / right),
    "floordiv": _numeric("//", lambda left, right: left // right),
    "mod": _modulo,
    "contains": _contains,
    "item": _item,
    "cut": _cut,
    "list": _list,
    "range": _range,
    "concat": partial(_concat, False),
    "concat_html": partial(_concat, True),
}
