"""Templates: any source is refused in one line or compiles to code that can do nothing else.

What compiled code can reach is read from the code itself: the names that it loads are those of
`functions`, and it defines nothing. It ends within its meter whatever the values are; the driver
ends what does not.
"""

from __future__ import annotations

import re
from types import CodeType

from campaignd.compose.columns import Columns
from campaignd.compose.meter import MAX_OUTPUT_CHARACTERS
from campaignd.compose.template import (
    DERIVED_TEXT,
    HEADER,
    HTML,
    HTML_OF_PLAIN_FIELDS,
    RENDER_ERRORS,
    TEXT,
    Origin,
    Template,
    compile_template,
    explain,
)
from campaignd.compose.values import clean_value
from campaignd.errors import TemplateError
from tests.fuzz import grammar, nasty
from tests.fuzz.choices import Choices

_NAMES = re.compile(
    r"(?:[ftmo]_\w+|missing|Meter|escape|count|enumerate|spend|apply|emit|items|output|append)"
)
_FORMS = (TEXT, HTML, HEADER, DERIVED_TEXT, HTML_OF_PLAIN_FIELDS)
_PIECES = (
    "{{ ",
    " }}",
    "{% if ",
    "{% elif ",
    "{% else %}",
    "{% endif %}",
    "{% for i in ",
    "{% for email in ",
    "{% endfor %}",
    "{% set x = ",
    " %}",
    "{# ",
    " #}",
    "{% raw %}",
    "{% endraw %}",
    "a",
    "b",
    "i",
    "x",
    "n",
    "email",
    "fields['a b']",
    "fields.",
    "loop.index",
    "loop.cycle(",
    "loop",
    "range(",
    "range(9999)",
    "[",
    "]",
    "(",
    ")",
    "{",
    "}",
    ", ",
    ":",
    ".",
    " ~ ",
    " + ",
    " - ",
    " * ",
    " / ",
    " // ",
    " % ",
    " ** ",
    " == ",
    " < ",
    " in ",
    " is ",
    " not ",
    " and ",
    " or ",
    " if ",
    " else ",
    "none",
    "true",
    "0",
    "-1",
    "1.5",
    "1e308",
    "9" * 20,
    "9" * 5_000,
    "'%s'",
    "'%99d'",
    "'<b>'",
    "'&#10;'",
    "'__class__'",
    "__class__",
    "__globals__",
    "self",
    "defined",
    "odd",
    "divisibleby(",
    "|default(",
    "|default('x', true)",
    "|upper",
    "|title",
    "|replace(",
    "|join(",
    "|list",
    "|sort",
    "|unique",
    "|reverse",
    "|first",
    "|max",
    "|sum",
    "|round(",
    "|int",
    "|float",
    "|format(",
    "|truncate(",
    "|striptags",
    "|safe",
    "|escape",
    "|forceescape",
    "|tojson",
    "|urlencode",
    "|wordcount",
    "|length",
    "|trim",
    "|attr(",
    "|map(",
    ".split(",
    ".splitlines()",
    ".format(",
    ".startswith(",
    ".title()",
    "(" * 100,
    "{% if a %}" * 90,
    "{% for i in a %}" * 9,
    "\n",
    "text",
)


def run(data: bytes) -> None:
    choices = Choices(data)
    form = choices.pick(_FORMS)
    values = [_value(choices) for _ in range(5)]
    turn = choices.number(0, 3)
    if turn < 2:
        source = grammar.template(choices)
    elif turn == 2:
        source = "".join(choices.pick(_PIECES) for _ in range(choices.number(0, 60)))
    else:
        source = choices.rest().decode("utf-8", "replace")
    columns = Columns(["a", "b", "n", "c", "a b"])
    try:
        template = compile_template(source, Origin("html", "t.html"), columns, form)
    except TemplateError as error:
        assert len(str(error).splitlines()) == 1, str(error)
        return
    _check_reach(template)
    row = ["u@x.example", *(clean_value(values[at], name) for name, at in columns.used)]
    try:
        rendered = template.render(tuple(row))
    except RENDER_ERRORS as error:
        assert len(explain(error, [template]).splitlines()) <= 1
        return
    assert isinstance(rendered, str)
    assert len(rendered) <= 40 * MAX_OUTPUT_CHARACTERS


def _value(choices: Choices) -> object:
    if choices.number(0, 3) == 0:
        return choices.pick((None, True, 0, -1, 1.5, 1e308, float("inf"), 2**63, "x" * 50_000))
    return nasty.text(choices, 4)


def _check_reach(template: Template) -> None:
    code = template.code
    for name in code.co_names:
        assert _NAMES.fullmatch(name), f"compiled code uses {name}"
    assert not any(isinstance(constant, CodeType) for constant in code.co_consts)
    assert not code.co_freevars
    assert template.render.__globals__["__builtins__"] == {}
