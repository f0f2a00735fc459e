"""Compiles one template, and explains what goes wrong in it by file, line and part.

The language is Jinja2's: its lexer and parser read it. Of its constructs there are text, `{{ }}`,
`if`, `for`, `set`, comments and `raw`; of its functions those in `functions`. There are no
macros, imports, includes and blocks, and no attributes. A template is compiled to Python code
that can do nothing else (`expressions`), and whose cost is bounded (`meter`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from types import CodeType
from typing import Any, Final, NamedTuple, NoReturn

import jinja2
from jinja2 import nodes

from campaignd.compose.codegen import Compiled, Form, Render, generate
from campaignd.compose.columns import Columns
from campaignd.compose.expressions import Unfit
from campaignd.errors import RowError, TemplateError

MAX_SOURCE_CHARACTERS: Final = 512 * 1024
"""Of one template; our choice. Mail clients clip HTML at a fifth of it."""

RENDER_ERRORS: Final = (
    RowError,
    TypeError,
    ValueError,
    ArithmeticError,
    LookupError,
    AttributeError,
    jinja2.TemplateError,
)
"""What a template can raise for a row: always of its own making, since nothing else runs in
it."""

_REASON_CHARACTERS: Final = 200
_CONTROL: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_SYNTAX: Final = jinja2.Environment(keep_trailing_newline=True)  # noqa: S701 - it only parses


class Origin(NamedTuple):
    """Where a template's source stands, for error messages."""

    part: str
    """`subject`, `html`, `header X-Name` and so on."""
    file: str
    line: int = 1
    """The line of the file at which the source begins."""

    def locate(self, line: int) -> str:
        return f"{self.file}, line {self.line + line - 1}, {self.part}"


class Template(NamedTuple):
    """A compiled template. `render` takes a row and raises one of RENDER_ERRORS."""

    origin: Origin
    render: Render
    code: CodeType
    constant: str | None
    """What it always renders to, if it has no holes."""
    inexact: bool
    """Whether its output can hold line breaks or controls that neither its text nor a cleaned
    value has."""


HEADER: Final = Form(line_break=" ")
TEXT: Final = Form()
DERIVED_TEXT: Final = Form(derived=True)
HTML: Final = Form(html=True)
HTML_OF_PLAIN_FIELDS: Final = Form(html=True, escape_fields=False)
"""For rows in which no field has a character that HTML would have to escape."""


def compile_template(source: str, origin: Origin, columns: Columns, form: Form) -> Template:
    """Raises TemplateError, which names file, line and part, for what the language does not
    have and for columns that do not exist."""
    tree = parse(source, origin)
    try:
        compiled = generate(tree, columns, form)
        return _load(compiled, origin, tree)
    except Unfit as error:
        raise TemplateError(f"{origin.locate(error.line)}: {error}") from None
    except RecursionError:
        _too_deep(origin)


def parse(source: str, origin: Origin) -> nodes.Template:
    """The syntax tree. Raises TemplateError."""
    if len(source) > MAX_SOURCE_CHARACTERS:
        raise TemplateError(
            f"{origin.locate(1)}: longer than {MAX_SOURCE_CHARACTERS} characters: shorten it"
        )
    control = _CONTROL.search(source)
    if control:
        line = source.count("\n", 0, control.start()) + 1
        raise TemplateError(
            f"{origin.locate(line)}: remove the control character U+{ord(control[0]):04X}"
        )
    try:
        return _SYNTAX.parse(source)
    except jinja2.TemplateSyntaxError as error:
        raise TemplateError(f"{origin.locate(error.lineno)}: {error.message}") from None
    except RecursionError:
        _too_deep(origin)
    except ValueError as error:  # a number with thousands of digits
        raise TemplateError(f"{origin.locate(1)}: {error}") from None


def _too_deep(origin: Origin) -> NoReturn:
    raise TemplateError(f"{origin.locate(1)}: nested too deep") from None


def _missing(what: str) -> NoReturn:
    raise RowError(f"{what} is missing")


def _load(compiled: Compiled, origin: Origin, tree: nodes.Template) -> Template:
    names: dict[str, Any] = {"__builtins__": {}, "missing": _missing, **compiled.names}
    # The code is made from an allow-list of syntax, has no builtins, and no text of the template
    # other than as constants.
    exec(compile(compiled.module, origin.file, "exec"), names)  # noqa: S102
    render: Any = names["render"]
    is_text = all(
        isinstance(node, nodes.Output)
        and all(isinstance(child, nodes.TemplateData) for child in node.nodes)
        for node in tree.body
    )
    constant = render(()) if is_text else None
    return Template(origin, render, render.__code__, constant, compiled.inexact)


def explain(error: BaseException, templates: Iterable[Template]) -> str:
    """Why a row could not be rendered, with the place in the template that failed."""
    place = ""
    by_code = {template.code: template.origin for template in templates}
    step = error.__traceback__
    while step is not None:
        origin = by_code.get(step.tb_frame.f_code)
        if origin is not None:
            place = f" ({origin.locate(step.tb_lineno)})"
        step = step.tb_next
    reason = " ".join(str(error).split())[:_REASON_CHARACTERS]
    return f"{reason or type(error).__name__}{place}"
