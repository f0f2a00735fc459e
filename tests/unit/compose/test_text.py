from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import Environment

from campaignd.compose.text import derive


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("", ""),
        ("plain", "plain\n"),
        ("<p>One\n  two</p><p>three</p>", "One two\n\nthree\n"),
        ("a<br>b<br/><br>c", "a\nb\n\nc\n"),
        ("<h1>T</h1>x", "T\n\nx\n"),
        ("<div>a</div><div>b</div>", "a\nb\n"),
        ("<ul><li>a</li><li>b</li></ul>c", "* a\n* b\n\nc\n"),
        ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a b\nc\n"),
        ("a&nbsp;&amp;&lt;b&gt; &#8364;", "a &<b> €\n"),
        ("a <b>b</b><i>c</i> d", "a bc d\n"),
        (
            '<a href="https://x.example/?a=1&amp;b=2">Shop</a>!',
            "Shop (https://x.example/?a=1&b=2)!\n",
        ),
        ('<a href="https://x.example/">https://x.example/</a>', "https://x.example/\n"),
        ('<a href="mailto:a@b.c">a@b.c</a>', "a@b.c\n"),
        ('<a href="#top">top</a> <a>bare</a>', "top bare\n"),
        ('<a href="https://x.example/"><img src="y"></a>', "https://x.example/\n"),
        ('<img src="x" alt="Our logo">', "Our logo\n"),
        ("a<hr>b", "a\n--------------------\nb\n"),
        ("<pre>a\n  b</pre>c", "a\n  b\n\nc\n"),
        ("<head><title>t</title></head><style>p{}</style><script>a<b</script>x<!-- c -->", "x\n"),
        ("<p>Hi {{ name }},</p>", "Hi {{ name }},\n"),
        ("{{ '<b>' }} &lt; {{ a < b }}", "{{ '<b>' }} < {{ a < b }}\n"),
        ('<a href="{{ url }}">{{ url }}</a>', "{{ url }}\n"),
        ('<a href="{{ url }}">Shop</a>', "Shop ({{ url }})\n"),
        ('<img alt="{{ brand }} logo">', "{{ brand }} logo\n"),
        (
            "<ul>{% for i in x %}<li>{{ i }}</li>{% endfor %}</ul>",
            "{% for i in x %}* {{ i }}\n{% endfor %}",
        ),
        (
            "<p>a</p>{% if x %}<p>b</p>{% endif %}<p>c</p>",
            "a\n\n{% if x %}b\n\n{% endif %}c\n",
        ),
        ("Dear {% if x %}good {% endif %}friend", "Dear {% if x %}good {% endif %}friend\n"),
        ("<head>{% set a = 1 %}{{ a }}</head>{{ a }}", "{% set a = 1 %}{{ a }}\n"),
        ("<!-- {% if x %} {{ y }} {% endif %} -->a", "{% if x %}{% endif %}a\n"),
        ('<p {% if x %}class="a"{% endif %}>b</p>', "{% if x %}{% endif %}b\n"),
        (
            '<a href="{% if x %}a{% else %}b{% endif %}">c</a>',
            "c ({% if x %}a{% else %}b{% endif %})\n",
        ),
        ("a {%- if x -%} b {%- endif -%} c", "a{% if x %}b{% endif %}c\n"),
        ("a{# comment #}b", "ab\n"),
        ("\U00100000x", "\U00100000x\n"),
        ("\ud800\udc00x{{ a }}", "\ufffd\ufffdx{{ a }}\n"),
        (
            "<![ x ]>a<![if !mso]>b{{ c }}<![endif]>d<![{% if x %}>e{% endif %}",
            "ab{{ c }}d{% if x %}e{% endif %}\n",
        ),
        ("&#x100000;{{ a }}&#1048577;", "\U00100000{{ a }}\U00100001\n"),
        ("{% for i in x %}&#x100000;{% endfor %}", "{% for i in x %}\U00100000{% endfor %}\n"),
    ],
)
def test_derived(html: str, text: str) -> None:
    assert derive(html).rstrip("\n") == text.rstrip("\n")


@given(
    st.lists(
        st.sampled_from(
            [
                *(
                    "<p>",
                    "</p>",
                    "<a href='{{ u }}'>",
                    "</a>",
                    "<br>",
                    "<ul>",
                    "<li>",
                    "</ul>",
                    "<td>",
                ),
                *("text", " ", "\n", " { ", "}", "{{ x }}", "&#123;{ y }}", "<!--", "-->", "<pre>"),
                *(
                    "</pre>",
                    "{% raw %}{{ z }}{% endraw %}",
                    "{# c #}",
                    "<style>",
                    "</style>",
                    "<",
                    "&",
                ),
                *("<head>", "</head>", "{% set x = 1 %}", "{% if x %}y{% endif %}"),
            ]
        )
    ).map("".join)
)
def test_whatever_the_html_is_the_text_is_a_template_with_the_same_statements(html: str) -> None:
    environment = Environment()
    environment.parse(html)
    source = derive(html)
    environment.from_string(source).render(x="X", u="U")
    assert source.count("{% set x = 1 %}") == html.count("{% set x = 1 %}")
    assert source.count("{% if x %}") == html.count("{% if x %}")
    assert "\n\n\n" not in source or "<pre>" in html


def test_braces_in_the_html_are_no_template() -> None:
    html = "{% raw %}{{ a }}{% endraw %} { &#123;{ b }} {&#37; c %}"
    assert Environment().from_string(derive(html)).render() == "{{ a }} { {{ b }} {% c %}"


def test_a_tag_that_never_ends_is_not_shown() -> None:
    assert derive("x<a " + "b" * 2_000 + "{% if x %}c{% endif %}") == "x\n{% if x %}{% endif %}"
