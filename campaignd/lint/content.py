"""What the rules say of a campaign's HTML and text, on the sources of the templates."""

from __future__ import annotations

from collections.abc import Sequence
from html.parser import HTMLParser
from typing import Final

from campaignd.compose import text
from campaignd.compose.attachments import CID_USED
from campaignd.compose.spec import CampaignSpec, Source
from campaignd.errors import TemplateError
from campaignd.lint.rules import (
    HTML_SIZE,
    HTTP_LINK,
    IMAGE_ALT,
    NO_TEXT,
    NO_UNSUBSCRIBE_LINK,
    UNUSED_IMAGE,
    Finding,
)
from campaignd.lint.source import HOLE, UNSUBSCRIBE, masked

CLIPPED_OCTETS: Final = 102 * 1024
"""Gmail shows so much of the HTML, about."""

_LINES_SHOWN: Final = 5
_MOST_UNFINISHED: Final = 1_000
"""Characters after the start of a tag that never ends, up to which they are taken for text, as in
`compose.text`: HTMLParser's time for it is quadratic, and a browser shows nothing of it."""
_ADDRESSED: Final = ("href", "src", "background", "action", "poster")
"""Attributes with addresses that a mail client follows or loads."""


def content(spec: CampaignSpec) -> list[Finding]:
    """All findings on the bodies."""
    found: list[Finding] = []
    if spec.html is not None:
        body = _Body(spec, "html")
        page = _Page(masked(spec.html))
        found += _page(spec, page, body)
        if not page.has_unsubscribe:
            found += _no_link(spec, body)
    if spec.text is not None:
        body = _Body(spec, "text")
        source = masked(spec.text)
        lines = source.lower().split("\n")
        found += _http(body, [at for at, line in enumerate(lines, 1) if "http://" in line])
        if UNSUBSCRIBE not in source:
            found += _no_link(spec, body)
    elif _derived_is_empty(spec.html or ""):
        where = _Body(spec, "html").file
        saying = 'it has no words, so there is no text part: add text = "FILE", or words'
        found.append(Finding(NO_TEXT, where, saying))
    return found


def size(octets: int, where: str, whose: str = "") -> Finding:
    """The finding on HTML that is too large."""
    kilobytes = octets / 1024
    return Finding(
        HTML_SIZE,
        where,
        f"{whose}{kilobytes:,.0f} KB of HTML: Gmail shows the first 102 KB; shorten it",
    )


class _Body:
    """Where findings on one of the bodies are."""

    def __init__(self, spec: CampaignSpec, part: str) -> None:
        source = spec.sources.get(part, Source(part))
        self.file = source.file
        self._first = source.line
        self._has_lines = part != "html" or not spec.inline_css
        """Inlining of styles writes the HTML anew; its lines are no longer those of the file."""

    def where(self, lines: Sequence[int]) -> str:
        """The file and the first of the lines."""
        if not self._has_lines:
            return self.file
        return f"{self.file}, line {self._first + lines[0] - 1}"

    def others(self, lines: Sequence[int]) -> str:
        """Names the lines after the first."""
        rest = list(dict.fromkeys(lines))[1:]
        if not rest or not self._has_lines:
            return ""
        shown = ", ".join(str(self._first + line - 1) for line in rest[:_LINES_SHOWN])
        more = len(rest) - _LINES_SHOWN
        return f" (also line {shown}{f' and {more} more' if more > 0 else ''})"


def _page(spec: CampaignSpec, page: _Page, body: _Body) -> list[Finding]:
    found = []
    octets = len((spec.html or "").encode())
    if octets > CLIPPED_OCTETS:
        found.append(size(octets, body.file))
    if page.bare_images:
        found.append(
            Finding(
                IMAGE_ALT,
                body.where(page.bare_images),
                "an image without alt text"
                f'{body.others(page.bare_images)}: add alt="WORDS", or alt="" for decoration',
            )
        )
    found += _http(body, page.http)
    if any(HOLE in cid for cid in page.cids):  # it may be any of them
        return found
    for image in spec.inline:
        if image.cid not in page.cids:
            saying = f"inline image {image.name} is not shown: write cid:{image.cid}, or remove it"
            found.append(Finding(UNUSED_IMAGE, body.file, saying))
    return found


def _http(body: _Body, lines: Sequence[int]) -> list[Finding]:
    if not lines:
        return []
    saying = (
        f"an http:// address{body.others(lines)}: anybody on the way can read and change what it"
        " leads to: use https://"
    )
    return [Finding(HTTP_LINK, body.where(lines), saying)]


def _no_link(spec: CampaignSpec, body: _Body) -> list[Finding]:
    if spec.transactional:
        return []
    saying = (
        "no link to unsubscribe can be seen in it: add"
        ' <a href="{{ unsubscribe_url }}">Unsubscribe</a>, or {{ unsubscribe_url }} to a text'
    )
    return [Finding(NO_UNSUBSCRIBE_LINK, body.file, saying)]


def _derived_is_empty(html: str) -> bool:
    try:
        plain = masked(text.derive(html))
    except TemplateError:  # too many tags; the composer says so better
        return False
    return not plain.strip()


class _Page(HTMLParser):
    """Reads a masked template."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.bare_images: list[int] = []
        """Lines of images without an alt attribute."""
        self.http: list[int] = []
        """Lines of addresses that begin with http://."""
        self.cids = {used[1] for used in CID_USED.finditer(source)}
        """What follows each `cid:`, in styles and conditional comments too."""
        self.has_unsubscribe = False
        """Whether a link that one can see leads to the unsubscribe page."""
        self._in_unsubscribe = False
        self.feed(source)
        if len(self.rawdata) <= _MOST_UNFINISHED:
            self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        line = self.getpos()[0]
        given = dict(attrs)
        if tag == "img" and "alt" not in given:
            self.bare_images.append(line)
        for name in _ADDRESSED:
            address = (given.get(name) or "").strip()
            if address.lower().startswith("http://"):
                self.http.append(line)
            elif address.lower().startswith("cid:"):
                self.cids.add(address[4:])
        if tag == "a":
            self._in_unsubscribe = UNSUBSCRIBE in (given.get("href") or "")
        elif tag == "img" and self._in_unsubscribe and given.get("alt"):
            self.has_unsubscribe = True

    def handle_endtag(self, tag: str) -> None:
        if tag == "a":
            self._in_unsubscribe = False

    def handle_data(self, data: str) -> None:
        if UNSUBSCRIBE in data or (self._in_unsubscribe and data.strip()):
            self.has_unsubscribe = True

    def parse_html_declaration(self, i: int) -> int:
        """`<![` begins a comment (HTML, 13.2.5.42), which HTMLParser does not know."""
        if self.rawdata.startswith("<![", i):
            return self.parse_bogus_comment(i)
        return super().parse_html_declaration(i)
