"""Ways out of Jinja2's sandbox, from public lists of server-side template injections.

Sources: PayloadsAllTheThings and HackTricks on Jinja2, the CVEs of its own sandbox (2016-10745,
2019-10906, 2024-56201, 2024-56326, 2025-27516), and the same tricks on names of our own.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from campaignd.compose import CampaignSpec, Composer, date_header
from campaignd.compose.codegen import Form
from campaignd.compose.columns import Columns
from campaignd.compose.template import (
    DERIVED_TEXT,
    HEADER,
    HTML,
    RENDER_ERRORS,
    TEXT,
    Origin,
    compile_template,
)
from campaignd.errors import TemplateError

ESCAPES = Path(__file__).with_name("escapes.txt").read_text("utf-8").splitlines()
VALUE = "Ada"
FORMS = (TEXT, HTML, HEADER, DERIVED_TEXT)

INSIDE = re.compile(r"<class|<built-in|<function|<module|object at 0x|root:|uid=|__\w+__|'os'")
"""What the inside of Python, a file or a shell look like."""


@pytest.mark.parametrize("form", FORMS, ids=["text", "html", "header", "derived"])
def test_a_template_has_no_way_out(form: Form) -> None:
    refused = 0
    for source in ESCAPES:
        try:
            template = compile_template(source, Origin("html", "t.html"), Columns(["a"]), form)
            rendered = template.render(("u@x.example", VALUE))
        except (TemplateError, *RENDER_ERRORS):
            refused += 1
        else:
            assert not INSIDE.search(rendered), f"{source} gave {rendered[:200]}"
            assert len(rendered) < 1_000, f"{source} gave {len(rendered)} characters"
    assert refused > 0.9 * len(ESCAPES)


def test_a_value_is_never_a_template() -> None:
    """What would be a way out in a template is text in a merge field, wherever that stands."""
    spec = CampaignSpec(
        name="n",
        account="a",
        sender="{{ a }} <news@acme.example>",
        envelope_sender="news@acme.example",
        subject="{{ a }}",
        text="[{{ a }}{{ a|upper|lower }}]",
        html="<p>{{ a }}</p>",
    )
    composer = Composer(spec, 1, ["a"])
    for value in ESCAPES:
        composed = composer.compose(
            0, 1, "u@x.example", [value], date=date_header(0.0), eight_bit=True
        )
        text = composed.message.replace(b"=\r\n", b"").replace(b"=3D", b"=").decode()
        assert f"[{value}" in text
