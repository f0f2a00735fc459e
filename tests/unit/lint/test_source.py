"""A masked template has the lines of the template, and no construct."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaignd.compose.template import Origin
from campaignd.lint.source import HOLE, UNSUBSCRIBE, masked, names

ORIGIN = Origin("html", "c.html")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("<p>as it\nis</p>", "<p>as it\nis</p>"),
        ("a{{ x }}b", f"a{HOLE}b"),
        ("{{ unsubscribe_url }}", UNSUBSCRIBE),
        ("{{ unsubscribe_url | e }}", UNSUBSCRIBE),
        ('{% if x > "<" %}a{% else %}b{% endif %}', "ab"),
        ("a{# unsubscribe_url #}b", "ab"),
        ("{% if unsubscribe_url is defined %}x{% endif %}", "x"),
        ("a{% raw %}{{ x }}{% endraw %}b", "a{{ x }}b"),
        ("a\n{{ x\n+\ny }}\nb", f"a\n\n\n{HOLE}\nb"),
        ("a\n\n  {%- if x -%}  \n b{% endif %}", "a\n\n\nb"),
        ("a\r\nb", "a\nb"),
    ],
)
def test_masked(source: str, expected: str) -> None:
    assert masked(source) == expected


PIECES = st.lists(
    st.sampled_from(
        [
            "{{ x }}",
            "{{\n x\n}}",
            "{%- if x -%}\n{% endif %}",
            "{#\n#}",
            "\n",
            " \n ",
            "text",
            "{%\nset y = 1 -%} \n ",
        ]
    )
)


@given(PIECES)
def test_every_line_keeps_its_number(pieces: list[str]) -> None:
    source = "".join(pieces)
    marked = source + "THE END"
    place = masked(marked).index("THE END")
    assert masked(marked).count("\n", 0, place) == source.count("\n")


def test_names() -> None:
    source = (
        "{% set a = b %}{{ a }}{% for c in d %}{{ c.x }}{{ loop.index }}{% endfor %}"
        '{{ fields["e f"] }}{{ g | default("h") }}'
    )
    assert names(source, ORIGIN) == {"a", "b", "c", "d", "e f", "g"}
