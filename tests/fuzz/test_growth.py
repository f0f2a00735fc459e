"""Much of everything: what a stranger sends must not take memory or time beyond its own size.

None of these asserts a speed: what is quadratic here would run for minutes, past the deadline
of every test.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator

import pytest

from campaignd.audience.csv_rows import BAD_QUOTE, CsvReader
from campaignd.audience.jsonl_rows import JsonlReader
from campaignd.audience.rows import LINE_OCTETS, Rows
from campaignd.compose.codegen import Form
from campaignd.compose.columns import Columns
from campaignd.compose.headers import MAX_VALUE_CHARACTERS, mailbox, unstructured
from campaignd.compose.template import HTML, TEXT, Origin, compile_template
from campaignd.compose.text import derive
from campaignd.compose.values import MAX_ROW_CHARACTERS
from campaignd.errors import RowError, TemplateError
from campaignd.model import Job, Outcome, SendRight
from campaignd.smtp.command import Capabilities
from campaignd.smtp.machine import Machine
from campaignd.smtp.protocol import NEED_DATA, Ended, Event
from campaignd.smtp.reply import MAX_REPLY

pytestmark = pytest.mark.timeout(30)

PIECE = 65_536
"""Octets that arrive at once."""

MEGABYTE = 1 << 20


def _memory(work: Callable[[], object]) -> int:
    """Octets that it took at its worst."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


_OK = b"250 ok\r\n"
_GO = b"354 go\r\n"
_LINES = (b"250-\r\n", b"250-" + b"x" * 500 + b"\r\n", b"421-x\r\n", b"2", b"\r\n", b"\0", _OK)


@pytest.mark.parametrize("before", [b"", _OK * 2, _OK * 2 + _GO], ids=["MAIL", "DATA", "dot"])
@pytest.mark.parametrize("flood", _LINES)
def test_a_flood_ends_the_session_in_bounded_memory(before: bytes, flood: bytes) -> None:
    machine = Machine(Capabilities(pipelining=True), relay="r")
    machine.open(_job())
    events = list(_heard(machine, before))
    if before.endswith(_GO):
        machine.body()
    piece = flood * (PIECE // len(flood))

    def listen() -> None:
        for _ in range(64):  # 4 MB
            events.extend(_heard(machine, piece))

    assert _memory(listen) < 20 * MAX_REPLY + 4 * PIECE
    assert machine.closed
    (ended,) = [event for event in events if isinstance(event, Ended)]
    accepted = before.endswith(_GO) and flood == _OK
    assert (ended.verdict.outcome is Outcome.ACCEPTED) == accepted


def test_a_reply_of_a_million_octets_one_by_one() -> None:
    machine = Machine(Capabilities(pipelining=True), relay="r")
    machine.open(_job())
    line = b"250-" + b"x" * 60 + b"\r\n"
    heard = 0
    while not machine.closed:
        list(_heard(machine, line[heard % len(line) :][:1]))
        heard += 1
    assert heard <= MAX_REPLY + len(line)


def _heard(machine: Machine, data: bytes) -> Iterator[Event]:
    event = machine.receive(data)
    while event is not NEED_DATA:
        yield event
        event = machine.next_event()


def _job() -> Job:
    return Job(None, SendRight(1e12), 1, 1, False, b"", b"u@x.example", b"S: x\r\n\r\nx\r\n.\r\n")


@pytest.mark.parametrize("line", [b'a","\n', b'"a\n', b'a,"\n', b'a,""\n', b'"""\n', b'"a"b\n'])
def test_a_quote_in_every_line_of_csv(line: bytes) -> None:
    lines = MEGABYTE // 4 // len(line)
    reader = CsvReader()
    data = b"email,a\n" + line * lines
    rows = [reader.feed(data[at : at + PIECE]) for at in range(0, len(data), PIECE)]
    rows.append(reader.finish())
    accounted = sum(part.size for part in rows)
    rejected = {reject.reason for part in rows for reject in part.rejects}
    if line == b'a","\n':  # each opens a quote that the next one does not close
        assert accounted == lines
        assert rejected == {BAD_QUOTE}
    assert accounted > lines // 3


@pytest.mark.parametrize("reader", [CsvReader, JsonlReader])
@pytest.mark.parametrize("octets", [b"x", b'"', b'{"a":', b"[", b"\xff", b"\r", b","])
def test_a_line_without_end(reader: type[CsvReader | JsonlReader], octets: bytes) -> None:
    under_test = reader()
    under_test.feed(b'email,a\n{"email":"a@b.example"}\n')
    piece = octets * (PIECE // len(octets))
    assert _memory(lambda: [_reduced(under_test.feed(piece)) for _ in range(6)]) < 24 * MEGABYTE
    under_test.feed(b"\n")


def _reduced(rows: Rows) -> int:
    return rows.size


def test_a_line_of_csv_that_comes_octet_by_octet() -> None:
    reader = CsvReader()
    data = b"email\na@b.example\n" + b"x" * (LINE_OCTETS // 4) + b"\nc@d.example\n"
    emails = [email for at in range(len(data)) for email in reader.feed(data[at : at + 1]).emails]
    assert [email for email in emails if "@" in email] == ["a@b.example", "c@d.example"]


_MARKUP = "<|</|<!--|<!-- -->|<a |<a href='|<p>|<![|<?|&|&#|<b|=<|<>|{{ a }}|{#|<script></|'| "


@pytest.mark.parametrize("unit", _MARKUP.split("|"))
def test_html_of_one_piece_over_and_over(unit: str) -> None:
    html = unit * (100_000 // len(unit))
    try:
        compile_template(html, Origin("html", "t.html"), Columns(["a"]), HTML)
        text = derive(html)
    except TemplateError:
        return
    assert len(text) < 20 * len(html)


@pytest.mark.parametrize("form", [HTML, TEXT], ids=["html", "text"])
@pytest.mark.parametrize("unit", ["<!--", "<!-- -->", "&", "a ", "ﬃ"])
def test_filters_on_as_much_as_a_row_can_hold(form: Form, unit: str) -> None:
    value = unit * (MAX_ROW_CHARACTERS // len(unit))
    filters = "striptags title wordcount truncate urlencode escape tojson"
    for name in [*filters.split(), "list|sort|join", "list|unique|join", "replace('a', 'bb')"]:
        source = f"{{{{ a|{name} }}}}"
        template = compile_template(source, Origin("html", "t.html"), Columns(["a"]), form)
        try:
            template.render(("u@x.example", value))
        except RowError:
            pass  # that would be too much


@pytest.mark.parametrize("unit", [" ", "x", "x ", "é", "=?", "\n", '"', "\U0001f468\u200d"])
def test_headers_of_as_much_as_they_can_hold(unit: str) -> None:
    value = unit * (MAX_VALUE_CHARACTERS // len(unit))
    for made in (unstructured(value, "Subject"), mailbox(value, b"a@b.example", "From")):
        assert max(map(len, made.split(b"\r\n"))) <= 998
        assert len(made) < 12 * MAX_VALUE_CHARACTERS
