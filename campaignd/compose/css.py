"""Moves a template's CSS into `style` attributes, where every mail client heeds it.

css-inline finds out which rules hold for which element, on a copy of the HTML whose tags are
numbered; of its result only the styles are taken over. So template tags, comments and lines stay
as they are, and the style sheets too: `:hover` and `@media` work only there. Nothing is fetched.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from html.parser import HTMLParser
from typing import Final

import css_inline

from campaignd.compose.markup import Tag, masked, tags
from campaignd.errors import CampaignError

_NUMBER: Final = "data-campaignd-tag"
_NOT_STYLED: Final = frozenset(("html", "head", "title", "style", "script", "meta", "base", "link"))
_NOT_FETCHED: Final = "no other style sheet is fetched: put its CSS into <style>"
_ATTRIBUTE: Final = re.compile(r"([^\s\"'>/=]+)(?:\s*=\s*(\"[^\"]*\"|'[^']*'|[^\s\"'>]+))?")


def with_inline_css(html: str, shown: str) -> str:
    """The source of an HTML template with its style sheets applied. `shown` names its file.

    Raises CampaignError for style sheets that stand elsewhere, and where it depends on the
    recipient which rules hold.
    """
    flat = masked(html)
    spans = []
    for tag in tags(flat):
        _check(html, flat, tag, shown)
        if tag.name[0] not in "/!" and tag.name not in _NOT_STYLED:
            own = [found.span() for found in _attributes(flat, tag) if _name(found) == "style"]
            spans.append(own[0] if own else (tag.name_end, tag.name_end))
    numbers = (f' {_NUMBER}="{number}"' for number in range(len(spans)))
    styles = _computed(_replaced(flat, spans, numbers), shown)
    texts = (
        _attribute(styles.get(number, ""), html[start:end])
        for number, (start, end) in enumerate(spans)
    )
    return _replaced(html, spans, texts)


def _attributes(flat: str, tag: Tag) -> Iterator[re.Match[str]]:
    """Name and value, with its quotes, of each."""
    return _ATTRIBUTE.finditer(flat, tag.name_end, tag.end - 1)


def _name(attribute: re.Match[str]) -> str:
    return attribute[1].lower()


def _computed(html: str, shown: str) -> dict[int, str]:
    """The style of each numbered element that some rule holds for."""
    try:
        inlined = css_inline.CSSInliner(load_remote_stylesheets=False).inline(html)
    except css_inline.InlineError as error:
        raise CampaignError(f"{shown}: inline_css: {' '.join(str(error).split())}") from None
    styles = _Styles()
    styles.feed(inlined)
    styles.close()
    return styles.found


class _Styles(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: dict[int, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        number, style = given.get(_NUMBER), given.get("style")
        if number and style:
            self.found[int(number)] = style


def _attribute(computed: str, own: str) -> str:
    """The style attribute that comes of the rules' style and the element's own, which is the last
    word, as it is to a browser."""
    if not computed:
        return own
    text = escape(computed.rstrip("; "), quote=False).replace('"', "&#34;")
    if not own:
        return f' style="{text}"'
    value = own.partition("=")[2].strip()
    quote = value[:1] if value[:1] in ("'", '"') else ""
    if quote:
        value = value[1:-1]
    if quote == "'":
        text = text.replace("'", "&#39;")
    around = quote or '"'
    both = f"{text}; {value}" if value else text
    return f"style={around}{both}{around}"


def _replaced(source: str, spans: Sequence[tuple[int, int]], texts: Iterable[str]) -> str:
    """The source with other texts in these places, which are in order."""
    pieces = []
    done = 0
    for (start, end), text in zip(spans, texts, strict=True):
        pieces += [source[done:start], text]
        done = end
    return "".join([*pieces, source[done:]])


def _check(html: str, flat: str, tag: Tag, shown: str) -> None:
    """Refuses what a style cannot be computed for."""
    start, end = tag.start, tag.end
    wrong = ""
    if tag.name == "link" and "stylesheet" in flat[start:end].lower():
        wrong = _NOT_FETCHED
    elif tag.name == "style":
        if html[start : tag.content_end] != flat[start : tag.content_end]:
            wrong = "<style> has a template tag: write it into a style attribute"
        elif "@import" in flat[end : tag.content_end].lower():
            wrong = _NOT_FETCHED
    elif html[start:end] != flat[start:end]:
        for found in _attributes(flat, tag):
            at = found.start()
            if _name(found) in ("class", "id") and html[at : found.end()] != found[0]:
                wrong = "a class or id has a template tag: use a style attribute"
            elif html[at : found.end(1)] != found[1]:
                wrong = "a template tag stands outside of attributes: put it around the whole tag"
    if wrong:
        raise CampaignError(f"{_place(html, start, shown)}: inline_css: {wrong}")


def _place(html: str, at: int, shown: str) -> str:
    return f"{shown}, line {html.count(chr(10), 0, at) + 1}"
