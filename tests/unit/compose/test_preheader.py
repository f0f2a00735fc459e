from __future__ import annotations

from collections.abc import Callable
from email.message import EmailMessage

import pytest

from campaignd.compose import CampaignSpec, Composer
from campaignd.compose.preheader import with_preheader
from campaignd.errors import TemplateError

Read = Callable[[bytes], EmailMessage]
MakeSpec = Callable[..., CampaignSpec]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("<html><head></head><body class='a > b'>", "<p>x</p></body></html>"),
        ("<!-- <body> --><BODY\n bgcolor=red>", "x"),
        ("<body {% if a > 1 %}class='b'{% endif %}>", "x<body>"),
        ("<body title=\"{{ '>' }}\">", "x"),
        ("<!--[if !mso]><!--><body>", "<!-- <body> -->x"),
        ("<style>body > p {}</style><head><title>a<body></title></head>", "x"),
        ("<!doctype html>", "<p>x</p>"),
        ("", "<p>x</p>"),
        ("", ""),
    ],
)
def test_it_stands_first_in_the_body(before: str, after: str) -> None:
    made = with_preheader(before + after, "Look")
    assert made.startswith(before + '<div style="display:none;')
    assert made.endswith(">Look</div>" + after)


def test_its_text_is_text_and_its_fields_are_fields(read: Read, make_spec: MakeSpec) -> None:
    spec = make_spec(
        html="<body>\n{{ a }}",
        preheader="1 < 2 & {{ a }}{% raw %}{{ a }}{% endraw %}{# no #}\n{%- if a %} yes{% endif %}",
    )
    composer = Composer(spec, 1, ["a"])
    message = read(composer.compose(0, 1, "a@b.example", ["<b>"], date=b"x", eight_bit=False).wire)
    html = message.get_body(("html",))
    assert html is not None
    assert "1 &lt; 2 &amp; &lt;b&gt;{{ a }} yes</div>\r\n&lt;b&gt;" in html.get_content()
    plain = message.get_body(("plain",))
    assert plain is not None
    assert "1 <" not in plain.get_content()


def test_it_is_not_in_a_text_that_is_derived(read: Read, make_spec: MakeSpec) -> None:
    composer = Composer(make_spec(html="<p>x</p>", text=None, preheader="Look"), 1, [])
    message = read(composer.compose(0, 1, "a@b.example", [], date=b"x", eight_bit=False).wire)
    plain = message.get_body(("plain",))
    assert plain is not None
    assert plain.get_content() == "x\r\n"


def test_its_mistakes_are_told_as_its_own(make_spec: MakeSpec) -> None:
    with pytest.raises(TemplateError, match="campaign, line 1, preheader: there is no column x"):
        Composer(make_spec(html="<p>", preheader="{{ x }}"), 1, ["a"])
    with pytest.raises(TemplateError, match="campaign, line 2, html: there is no column x"):
        Composer(make_spec(html="<p>\n{{ x }}", preheader="{{ a }}"), 1, ["a"])
