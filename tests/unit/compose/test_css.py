from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaignd.compose.css import with_inline_css
from campaignd.compose.markup import masked, tags
from campaignd.errors import CampaignError

SHEET = (
    '<style>p { color: red } .a > b { margin: 0; font-family: "Segoe UI" } tr { top: 1px }</style>'
)


def inlined(html: str) -> str:
    made = with_inline_css(SHEET + html, "spring.html")
    assert made.startswith(SHEET), "for clients that read it, with what cannot be inlined"
    return made.removeprefix(SHEET)


@pytest.mark.parametrize(
    ("html", "result"),
    [
        ("<p>x</p>", '<p style="color: red">x</p>'),
        ("<P\nid=1 >x", '<P style="color: red"\nid=1 >x'),
        ("<p style='top: 0'>x", "<p style='color: red; top: 0'>x"),
        ('<p title="a > b" STYLE = "x: y">', '<p title="a > b" style="color: red; x: y">'),
        ("<p title=\" style='x' id={{ a }}\">",
         "<p style=\"color: red\" title=\" style='x' id={{ a }}\">"),
        ("<p data-style=x>", '<p style="color: red" data-style=x>'),
        ("<p style>x", '<p style="color: red">x'),
        ("<p style='' id=a>x", "<p style='color: red' id=a>x"),
        ("<i style>x</i>", None),
        ("<p style=top:0>x", '<p style="color: red; top:0">x'),
        ("<div class=a><b>x</b></div><b>y</b>",
         "<div class=a><b style=\"margin: 0;font-family: 'Segoe UI'\">x</b></div><b>y</b>"),
        ("<div class=a><b style='top:0'>x</b></div>",
         "<div class=a><b style='margin: 0;font-family: &#39;Segoe UI&#39;; top:0'>x</b></div>"),
        # what template tags say stays, wherever it stands
        ("{% if x %}<p>{{ a < b }}</p>{% endif %}",
         '{% if x %}<p style="color: red">{{ a < b }}</p>{% endif %}'),
        ("<table>{% for i in l %}<tr><td>{{ i }}</tr>{% endfor %}</table>",
         '<table>{% for i in l %}<tr style="top: 1px"><td>{{ i }}</tr>{% endfor %}</table>'),
        ("<p style=\"top: {{ 't' }}; {% if x > 1 %}left: 0{% endif %}\">",
         "<p style=\"color: red; top: {{ 't' }}; {% if x > 1 %}left: 0{% endif %}\">"),
        ('<p title="{{ a & b }}">', '<p style="color: red" title="{{ a & b }}">'),
        ("{# <p> #}{% raw %}<p>{{ x }}{% endraw %}",
         '{# <p> #}{% raw %}<p style="color: red">{{ x }}{% endraw %}'),
        # and so does all else
        ("<!doctype html>\n<html><body>&nbsp;&copy;<br/><!--[if mso]><p>x</p><![endif]-->"
         "<![if !mso]>y<![endif]></body></html>", None),
        ("<textarea><p></textarea><script>'<p>'</script><title><p></title>", None),
        ("", None),
    ],
)  # fmt: skip
def test_styles_go_where_they_hold_and_nothing_else_changes(html: str, result: str | None) -> None:
    assert inlined(html) == (html if result is None else result)


@pytest.mark.parametrize(
    ("html", "says"),
    [
        ("\n<link href=x rel='stylesheet'>", "line 2: inline_css: no other style sheet is fetched"),
        ("<style>@import url(x)</style>", "line 1: inline_css: no other style sheet is fetched"),
        (
            "\n\n<style>p { color: {{ c }} }</style>",
            "line 3: inline_css: <style> has a template tag",
        ),
        ('<p class="a {{ b }}">', "line 1: inline_css: a class or id has a template tag"),
        ("<p id={{ b }}>", "line 1: inline_css: a class or id has a template tag"),
        ("<p {% if x %}class='a'{% endif %}>", "line 1: inline_css: a template tag stands outside"),
    ],
)
def test_what_cannot_be_inlined_is_said_so(html: str, says: str) -> None:
    with pytest.raises(CampaignError) as caught:
        with_inline_css(html, "spring.html")
    assert str(caught.value).startswith(f"spring.html, {says}")


def test_nothing_is_fetched(tmp_path: Path) -> None:
    (tmp_path / "a.css").write_text("p { color: blue }")
    for place in (tmp_path / "a.css", (tmp_path / "a.css").as_uri()):
        html = f"<link rel='styles&#104;eet' href='{place}'><p>x"  # which a browser would follow
        assert with_inline_css(html, "x") == html


PIECES = st.lists(
    st.sampled_from(
        ["<p>", "</p>", "<p style='a:b'>", "<p title=' style=c'>", "{{ x }}", "{% if x %}",
         "<table>", "<tr>", "<b", ">",
         '"', "'", "<!--", "-->", "<style>", "</style>", "&amp;", "text", "\n", "{%", "}}",
         "<td x=1>"]
    )
).map("".join)  # fmt: skip


@given(PIECES)
def test_only_style_attributes_are_ever_added(html: str) -> None:
    try:
        made = with_inline_css(SHEET + html, "x")
    except CampaignError:
        return
    without = re.sub(r' style="[^"]*"', "", made)
    assert without.replace("color: red; ", "").replace("top: 1px; ", "") == SHEET + html


@given(PIECES)
def test_a_mask_keeps_every_place(html: str) -> None:
    flat = masked(html)
    assert len(flat) == len(html)
    assert all(now in (was, "x") for was, now in zip(html, flat, strict=True))
    ends = [tag.end for tag in tags(flat)]
    assert ends == sorted(set(ends))


def test_a_tag_that_never_ends_takes_no_time() -> None:
    for source in ("<a " * 100_000, '<a "' * 100_000, "<a ''" * 100_000, "{{ " * 100_000):
        assert list(tags(masked(source))) == []
