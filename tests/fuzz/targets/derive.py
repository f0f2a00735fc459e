"""Texts derived from HTML: whatever the HTML is, the text is a template that compiles like it."""

from __future__ import annotations

import re
from collections import Counter

from campaignd.compose.columns import Columns
from campaignd.compose.template import DERIVED_TEXT, HTML, Origin, compile_template
from campaignd.compose.text import derive
from campaignd.errors import TemplateError
from tests.fuzz.choices import Choices

_PIECES = (
    "<p>",
    "</p>",
    "<br>",
    "<a href='",
    "<a href='{{ a }}'>",
    "'>",
    "</a>",
    "<a ",
    "<pre>",
    "</pre>",
    "<script>",
    "</script>",
    "<style>",
    "</style>",
    "<title>",
    "<head>",
    "</head>",
    "<body>",
    "</body>",
    "<table><tr><td>",
    "<li>",
    "<img alt='{{ a }}'>",
    "<img alt='x",
    "<!--",
    "-->",
    "<!",
    "<![CDATA[",
    "]]>",
    "<![if ",
    "<?",
    ">",
    "<",
    "</",
    "/>",
    "&",
    "&amp;",
    "&#",
    "&#10;",
    "&#x100000;",
    "{{ a }}",
    "{{- a -}}",
    "{{ '<p>' }}",
    "{{ '}}' }}",
    "{% if a %}",
    "{%- else -%}",
    "{% endif %}",
    "{% for i in a %}",
    "{{ i }}",
    "{% endfor %}",
    "{% set x = a %}",
    "{# <p> #}",
    "{% raw %}",
    "{% endraw %}",
    "{",
    "}",
    "{ {",
    "\U00100000",
    "\U00100001",
    "\xa0",
    " ",
    "\n",
    "\t",
    "text",
    "'",
    '"',
    "=",
)


def _statements(source: str) -> Counter[str]:
    return Counter(re.findall(r"{%[+-]?\s*(\w+)", source))


def run(data: bytes) -> None:
    choices = Choices(data)
    if choices.flag():
        html = "".join(choices.pick(_PIECES) for _ in range(choices.number(0, 80)))
    else:
        html = choices.rest().decode("utf-8", "replace")
    origin = Origin("html", "t.html")
    try:
        compile_template(html, origin, Columns(["a"]), HTML)
    except TemplateError:
        return
    try:
        text = derive(html)
    except TemplateError as error:
        assert "too many" in str(error)
        return
    try:
        template = compile_template(text, origin, Columns(["a"]), DERIVED_TEXT)
    except TemplateError as error:
        # A block that spans the attributes of a link: told to the author, who adds a text.
        assert "<a" in html, f"{html!r} became {text!r}: {error}"
        assert _statements(html) == _statements(text), f"{html!r} became {text!r}: {error}"
        return
    template.render(("u@x.example", "value")[: 1 + ("v1" in template.code.co_varnames)])
