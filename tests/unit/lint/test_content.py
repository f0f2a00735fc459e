"""The rules for HTML and text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaignd.compose.spec import Attached
from campaignd.lint.content import content
from tests.unit.lint.campaigns import HTML, campaign, ids

LEAVE = '<a href="{{ unsubscribe_url }}">Leave</a>'


def test_nothing_is_wrong() -> None:
    assert content(campaign()) == []
    assert content(campaign(html=None, text="Leave: {{ unsubscribe_url }}")) == []


def test_an_image_without_alt() -> None:
    html = f'{LEAVE}\n<img src="https://a.example/1">\n<p>\n<img alt="" src="https://a.example/2">'
    [finding] = content(campaign(html=html))
    assert finding.rule.id == "image-alt"
    assert finding.where == "c.html, line 2"


def test_many_are_one_finding() -> None:
    html = LEAVE + "".join(f'\n<img src="https://a.example/{n}">' for n in range(9))
    [finding] = content(campaign(html=html))
    assert finding.where == "c.html, line 2"
    assert "(also line 3, 4, 5, 6, 7 and 3 more)" in finding.text


def test_an_image_in_one_branch_only() -> None:
    html = LEAVE + '{% if vip %}\n<img src="https://a.example/1">{% endif %}'
    assert ids(content(campaign(html=html))) == ["image-alt"]


def test_alt_in_a_statement() -> None:
    html = LEAVE + '<img src="https://a.example/1" {% if x %}alt="{{ x }}"{% endif %}>'
    assert content(campaign(html=html)) == []


@pytest.mark.parametrize(
    "markup",
    [
        '<a href="http://a.example">x</a>',
        '<a href=" HTTP://a.example/{{ x }}">x</a>',
        '<img alt="x" src="http://a.example/x.png">',
        '<td background="http://a.example/x.png">x</td>',
        "<a href='{% if x %}http://a.example{% else %}https://b.example{% endif %}'>x</a>",
    ],
)
def test_http(markup: str) -> None:
    [finding] = content(campaign(html=f"{LEAVE}\n{markup}"))
    assert finding.rule.id == "http-link"
    assert finding.where == "c.html, line 2"


@pytest.mark.parametrize(
    "markup",
    [
        '<a href="https://a.example/?back=http://b.example">x</a>',
        '<html xmlns="http://www.w3.org/1999/xhtml">',
        "<!-- http://a.example -->",
        '<a href="{{ url }}">http</a>',
        '<a href="mailto:a@a.example">x</a>',
    ],
)
def test_not_http(markup: str) -> None:
    assert content(campaign(html=f"{LEAVE}\n{markup}")) == []


def test_http_in_a_text() -> None:
    text = "Leave: {{ unsubscribe_url }}\nSee http://a.example"
    [finding] = content(campaign(html=None, text=text))
    assert (finding.rule.id, finding.where) == ("http-link", "c.txt, line 2")


@pytest.mark.parametrize(
    "html",
    [
        "<p>no link</p>",
        '<p><a href="{{ unsubscribe_url }}"></a>empty</p>',
        '<p><a href="{{ unsubscribe_url }}"> <img src="x" alt=""></a>unseen</p>',
        "<p>x<!-- {{ unsubscribe_url }} --></p>",
        "<p>x{# {{ unsubscribe_url }} #}</p>",
        '<p>x<link href="{{ unsubscribe_url }}"></p>',
    ],
)
def test_no_link_to_leave(html: str) -> None:
    assert ids(content(campaign(html=html))) == ["no-unsubscribe-link"]
    assert content(campaign(html=html, transactional=True)) == []


@pytest.mark.parametrize(
    "html",
    [
        LEAVE,
        '<a href="{{ unsubscribe_url }}"><b>Leave</b></a>',
        '<a href="{{ unsubscribe_url }}"><img src="x" alt="Leave"></a>',
        '<a href="{{ unsubscribe_url }}">{{ word }}</a>',
        "<p>Go to {{ unsubscribe_url }}</p>",
        '{% if x %}<a href="{{ unsubscribe_url }}">Leave</a>{% endif %}',
    ],
)
def test_a_link_to_leave(html: str) -> None:
    assert content(campaign(html=html)) == []


def test_a_link_in_the_text_is_not_seen_by_readers_of_html() -> None:
    [finding] = content(campaign(html="<p>x</p>", text="{{ unsubscribe_url }}"))
    assert (finding.rule.id, finding.where) == ("no-unsubscribe-link", "c.html")


def test_nor_the_other_way_round() -> None:
    [finding] = content(campaign(html=LEAVE, text="Hello"))
    assert (finding.rule.id, finding.where) == ("no-unsubscribe-link", "c.txt")


def test_inlined_styles_move_the_lines() -> None:
    html = f'{LEAVE}\n<img src="https://a.example/1">\n<img src="https://a.example/2">'
    [finding] = content(campaign(html=html, inline_css=True))
    assert finding.where == "c.html"
    assert "line" not in finding.text


def test_large_html() -> None:
    [finding] = content(campaign(html=HTML + "x" * 102 * 1024))
    assert finding.rule.id == "html-size"
    assert content(campaign(html=HTML + "x" * (102 * 1024 - len(HTML)))) == []


def test_no_words() -> None:
    picture = '<a href="{{ unsubscribe_url }}"><img src="https://a.example/1" alt="Leave"></a>'
    assert content(campaign(html=picture)) == []
    found = content(campaign(html='<img src="https://a.example/1" alt="">', transactional=True))
    assert ids(found) == ["no-text"]
    worded = campaign(html='<img src="https://a.example/1" alt="">', transactional=True, text="x")
    assert content(worded) == []


@pytest.mark.parametrize("attribute", ['src="cid:logo"', "background='CID:logo'"])
def test_an_inline_image(attribute: str) -> None:
    logo = Attached("logo.png", "image/png", b"x", "logo")
    assert content(campaign(html=f'{LEAVE}<td alt="" {attribute}>', inline=[logo])) == []
    [finding] = content(campaign(html=LEAVE, inline=[logo]))
    assert finding.rule.id == "unused-image"
    assert "logo.png" in finding.text


@pytest.mark.parametrize(
    "markup",
    [
        "<style>td {background: url(cid:logo)}</style>",
        "<td style=\"background: URL( 'cid:logo' )\">",
        '<img alt="" src="cid:{{ kind }}">',
        '<td style="background: url(cid:lo{{ x }})">',
        "<!--[if mso]><v:fill src='cid:logo'><![endif]-->",
    ],
)
def test_an_inline_image_that_is_shown_otherwise(markup: str) -> None:
    logo = Attached("logo.png", "image/png", b"x", "logo")
    assert content(campaign(html=LEAVE + markup, inline=[logo])) == []
    other = Attached("logo.png", "image/png", b"x", "other")
    expected = [] if "{{" in markup else ["unused-image"]
    assert ids(content(campaign(html=LEAVE + markup, inline=[other]))) == expected


MARKUP = st.lists(
    st.sampled_from(
        [
            "<img", "alt", ">", "<a href=", "{{ unsubscribe_url }}", '"', "</a>", "<![", "<!--",
            "-->", "<!", "&#", "<style>", "{% if x %}", "{% endif %}", "http://", "cid:", "text",
            "\n", "<?", "</", "<script>", "<!doctype",
        ]
    )
)  # fmt: skip


@given(MARKUP)
def test_no_markup_breaks_it(pieces: list[str]) -> None:
    html = "".join(pieces)
    if html.count("{% if x %}") == html.count("{% endif %}"):
        content(campaign(html=html))


@pytest.mark.timeout(20)
@pytest.mark.parametrize("start", ["<a ", '<a href="', "<!--", "<img alt "])
def test_tags_that_never_end_take_no_hours(start: str) -> None:
    assert content(campaign(html=LEAVE + start * 50_000)) is not None
