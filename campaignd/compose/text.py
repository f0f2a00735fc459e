"""Derives the plain text of a message from its HTML, on the template's source.

The result is a template again, with the same constructs in the same order: one rendering per
recipient then makes the text, and no HTML is parsed per recipient. Statements are all kept,
whatever markup they stand in; output (`{{ }}`) is kept where the HTML shows it, and in links.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Final

import jinja2

from campaignd.errors import TemplateError

_HIGH: Final = 0xD800
_LOW: Final = 0xDC00
_SPAN: Final = 0x400
"""Placeholders for constructs are two lone surrogates each: the only characters that neither a
template nor a character reference in it (`&#x100000;`) can hold."""
_MOST: Final = _SPAN * _SPAN
_MOST_UNFINISHED: Final = 1_000
"""Characters after the start of a tag or comment that never ends, up to which they are taken
for text. HTMLParser's time for it is quadratic; a browser would show nothing of it."""
_MARK: Final = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_SURROGATES: Final = re.compile("[\ud800-\udfff]")
_SPACES: Final = re.compile("[ \t\r\n\f\xa0]+")

_HEADINGS: Final = ("h1", "h2", "h3", "h4", "h5", "h6")
_SECTIONS: Final = ("article", "section", "header", "footer", "form", "fieldset", "figure")
_PARAGRAPHS: Final = frozenset(
    ("p", "ul", "ol", "dl", "table", "blockquote", "pre", *_HEADINGS, *_SECTIONS)
)
_LINES: Final = frozenset(
    ("div", "li", "tr", "dt", "dd", "hr", "address", "caption", "center", "main", "nav")
)
_HIDDEN: Final = frozenset(("head", "style", "script", "title", "template", "noscript"))
_VOID_LINES: Final = {"hr": "-" * 20}

_LEXER: Final = jinja2.Environment()  # noqa: S701 - it only splits a source into tokens


def derive(html: str) -> str:
    """The source of a text template, from that of an HTML template that has been parsed.

    Raises TemplateError when it has more constructs than can be told apart.
    """
    constructs: list[str] = []
    marked = []
    for is_construct, piece in split_source(_SURROGATES.sub("\ufffd", html)):
        if is_construct:
            marked.append(_mark(len(constructs)))
            constructs.append(piece)
        else:
            marked.append(piece)
    if len(constructs) > _MOST:
        raise TemplateError("too many template tags to derive a text")
    writer = _TextWriter(constructs)
    writer.feed("".join(marked))
    if len(writer.rawdata) <= _MOST_UNFINISHED:
        writer.close()
    plain = writer.text()
    # What HTMLParser does not report, such as a tag that never ends, is at the end.
    kept = set(_MARK.findall(plain))
    lost = [mark for mark in _MARK.findall("".join(marked)) if mark not in kept]
    plain += "".join(filter(writer.is_statement, lost))
    return writer.source(plain.replace("{", '{{ "{" }}'))


def split_source(source: str) -> Iterator[tuple[bool, str]]:
    """The source's literal text, and its constructs without whitespace control: the text lays
    out its own white space."""
    construct: list[str] = []
    for _, kind, value in _LEXER.lex(source):
        if kind == "data":
            yield False, value
        elif kind in ("block_begin", "variable_begin"):
            construct = [value.rstrip("-+")]
        elif kind in ("block_end", "variable_end"):
            yield True, "".join(construct) + value.lstrip("-+").rstrip()
            construct = []
        elif construct and not kind.startswith(("comment", "raw")):
            construct.append(value)


def _mark(number: int) -> str:
    """The placeholder of a construct."""
    return chr(_HIGH + number // _SPAN) + chr(_LOW + number % _SPAN)


def _number(mark: str) -> int:
    """The construct that a placeholder stands for."""
    return (ord(mark[0]) - _HIGH) * _SPAN + ord(mark[1]) - _LOW


class _TextWriter(HTMLParser):
    """Lays out text as a browser without styles would, in lines of any length."""

    def __init__(self, constructs: list[str]) -> None:
        super().__init__(convert_charrefs=True)
        self._constructs = constructs
        self._parts: list[str] = []
        self._breaks = 2
        """Line breaks that the text ends with; it begins as if after an empty line."""
        self._wanted = 0
        """Line breaks to put before the next text."""
        self._space = False
        self._hidden = 0
        self._preformatted = 0
        self._link: tuple[str, int] | None = None
        """The open link's target, and where its text begins."""

    def text(self) -> str:
        plain = "".join(self._parts).rstrip(" \n")
        return plain + "\n" if plain else ""

    # What HTMLParser calls

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        raw = self.get_starttag_text() or ""
        link = ""
        if tag == "a" and not self._hidden:
            self._end_link()
            link = (dict(attrs).get("href") or "").strip()
            self._link = link, len(self._parts)
        self._statements(raw, but_not=link)
        if tag in _HIDDEN:
            self._hidden += 1
        elif not self._hidden:
            self._open(tag, dict(attrs))

    def handle_endtag(self, tag: str) -> None:
        if tag in _HIDDEN:
            self._hidden = max(0, self._hidden - 1)
        elif tag == "body":
            self._hidden = 0
        elif not self._hidden:
            self._close(tag)

    def handle_data(self, data: str) -> None:
        if self._hidden:
            self._statements(data)
            return
        for piece in re.split(f"({_MARK.pattern})", data):
            if _MARK.fullmatch(piece):
                self._construct(piece)
            elif piece:
                self._literal(piece)

    def handle_comment(self, data: str) -> None:
        self._statements(data)

    def handle_decl(self, decl: str) -> None:
        self._statements(decl)

    def handle_pi(self, data: str) -> None:
        self._statements(data)

    def unknown_decl(self, data: str) -> None:
        self._statements(data)

    def parse_html_declaration(self, i: int) -> int:
        """`<![` begins a comment that ends at the next `>` (HTML, 13.2.5.42). HTMLParser takes
        it for SGML, and gives up with an AssertionError when it is none."""
        if self.rawdata.startswith("<![", i):
            return self.parse_bogus_comment(i)
        return super().parse_html_declaration(i)

    # Layout

    def _open(self, tag: str, attrs: dict[str, str | None]) -> None:
        if tag in _PARAGRAPHS:
            self._want(2)
        elif tag in _LINES:
            self._want(1)
        if tag == "br":
            self._want(min(max(self._wanted, self._breaks) + 1, 2))
        elif tag == "li":
            self._write("* ")
            self._space = False
        elif tag in ("td", "th"):
            self._space = not self._breaks
        elif tag in _VOID_LINES:
            self._write(_VOID_LINES[tag])
            self._want(1)
        elif tag == "img" and attrs.get("alt"):
            self.handle_data(attrs["alt"] or "")
        self._preformatted += tag == "pre"

    def _close(self, tag: str) -> None:
        if tag == "a":
            self._end_link()
        if tag == "pre":
            self._preformatted = max(0, self._preformatted - 1)
        if tag in _PARAGRAPHS:
            self._want(2)
        elif tag in _LINES:
            self._want(1)

    def _end_link(self) -> None:
        """Shows where the link goes, unless its text does."""
        if self._link is None:
            return
        (link, since), self._link = self._link, None
        shown = "".join(self._parts[since:]).strip()
        bare = link.removeprefix("mailto:")
        if bare and not bare.startswith("#") and self.source(bare) != self.source(shown):
            self._space = bool(shown)
            self._write(f"({bare})" if shown else bare)
        elif link != shown:
            self._statements(link)

    def _want(self, breaks: int) -> None:
        self._wanted = max(self._wanted, breaks)
        self._space = False

    def _literal(self, data: str) -> None:
        if self._preformatted:
            self._write(data)
            self._breaks = len(data) - len(data.rstrip("\n"))
            return
        words = _SPACES.sub(" ", data)
        if words.startswith(" "):
            self._space = True
        if words.strip(" "):
            self._write(words.strip(" "))
            self._space = words.endswith(" ")

    def _construct(self, mark: str) -> None:
        if self.is_statement(mark):
            self._settle()
            self._parts.append(mark)
        else:
            self._write(mark)

    def _write(self, text: str) -> None:
        self._settle()
        self._parts.append(text)
        self._breaks = 0

    def _settle(self) -> None:
        """Puts the white space that is due, so that it stays on this side of what follows: in
        or out of a condition like the text that asked for it."""
        missing = self._wanted - self._breaks
        if missing > 0:
            self._parts.append("\n" * missing)
            self._breaks = self._wanted
        elif self._space and not self._breaks and not self._parts[-1].endswith(" "):
            self._parts.append(" ")
        self._wanted = 0
        self._space = False

    def _statements(self, data: str, but_not: str = "") -> None:
        """Keeps the statements of what is not shown; `but_not` is kept elsewhere."""
        kept = set(_MARK.findall(but_not))
        for mark in _MARK.findall(data):
            if self.is_statement(mark) and mark not in kept:
                self._parts.append(mark)

    def source(self, text: str) -> str:
        """A text with its constructs in place of their placeholders."""
        return _MARK.sub(lambda mark: self._constructs[_number(mark[0])], text)

    def is_statement(self, mark: str) -> bool:
        """Whether this placeholder is a `{% %}`."""
        return self._constructs[_number(mark)].startswith("{%")
