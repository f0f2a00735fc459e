"""The reply parser: what it reads, what it refuses, and that pieces do not matter."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaignd.smtp.reply import (
    MAX_LINE,
    MAX_REPLY,
    MAX_TEXT,
    MalformedReply,
    Reply,
    ReplyParser,
    printable,
    single_line,
    without_addresses,
)


def read(pieces: list[bytes]) -> tuple[list[Reply], str]:
    """All replies in what arrives piece by piece, and the error that ended it, if any."""
    parser = ReplyParser()
    replies: list[Reply] = []
    try:
        for piece in pieces:
            parser.feed(piece)
            while (reply := parser.next()) is not None:
                replies.append(reply)
    except MalformedReply as error:
        return replies, str(error)
    return replies, ""


def one(data: bytes) -> Reply:
    replies, error = read([data])
    assert error == ""
    assert len(replies) == 1
    return replies[0]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"250 2.0.0 Ok: queued as 4F\r\n", Reply(250, "2.0.0", "2.0.0 Ok: queued as 4F")),
        (b"354 End data\r\n", Reply(354, "", "End data")),
        (b"250\r\n", Reply(250, "", "")),
        (b"250 \r\n", Reply(250, "", "")),
        (b"550 5.1.1\r\n", Reply(550, "5.1.1", "5.1.1")),
        (b"550 5.7.133 no\r\n", Reply(550, "5.7.133", "5.7.133 no")),
        (b"250-one\r\n250 two\r\n", Reply(250, "", "one two")),
        (b"550-5.7.1 a\r\n550 5.7.1 b\r\n", Reply(550, "5.7.1", "5.7.1 a 5.7.1 b")),
        (b"250 bare line feed\n", Reply(250, "", "bare line feed")),
        (b"571 refused\r\n", Reply(571, "", "refused")),
        # a class that contradicts the code is no enhanced code, nor is what only looks like one
        (b"550 2.0.0 what\r\n", Reply(550, "", "2.0.0 what")),
        (b"250 2.0.0.1 v\r\n", Reply(250, "", "2.0.0.1 v")),
        (b"250 2.01.0 v\r\n", Reply(250, "", "2.01.0 v")),
        (b"250 2.1.1000 v\r\n", Reply(250, "", "2.1.1000 v")),
        (b"354 3.0.0 v\r\n", Reply(354, "", "3.0.0 v")),
        (b"250 caf\xc3\xa9\r\n", Reply(250, "", "café")),
        (b"250 a\x00\x1b[31m\tb\xff\r\n", Reply(250, "", "a??[31m b\ufffd")),
    ],
)
def test_reads(data: bytes, expected: Reply) -> None:
    assert one(data) == expected


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n",
        b"\n",
        b"25\r\n",
        b"2500 x\r\n",
        b"250\tx\r\n",
        b"250x\r\n",
        b"199 x\r\n",
        b"100 x\r\n",
        b"600 x\r\n",
        b"2\xb20 x\r\n",
        b" 250 x\r\n",
        b"-50 x\r\n",
        b"HTTP/1.1 400 Bad Request\r\n",
        b"250-a\r\n251 b\r\n",
        b"250-a\r\n\r\n",
        b"2" * (MAX_LINE + 1),
        b"250 " + b"x" * MAX_LINE + b"\r\n",
        b"250-x\r\n" * (MAX_REPLY // 7 + 1),
    ],
)
def test_refuses(data: bytes) -> None:
    whole = read([data])
    assert whole[1]
    assert whole == read([data[at : at + 1] for at in range(len(data))])


def test_text_is_bounded() -> None:
    text = one(b"550 " + "ü".encode() * 900 + b"\r\n").text
    assert text == "ü" * MAX_TEXT


texts = st.binary(max_size=40).map(lambda raw: raw.replace(b"\n", b""))
codes = st.integers(200, 599).map(lambda code: b"%d" % code)


@st.composite
def replies(draw: st.DrawFn) -> bytes:
    code = draw(codes)
    first = draw(st.sampled_from([b"", b"2.0.0 ", b"5.1.1 ", b"4.2.10 ", b"5.1", b"2.0.0"]))
    lines = draw(st.lists(texts, min_size=1, max_size=3))
    lines[0] = first + lines[0]
    end = draw(st.sampled_from([b"\r\n", b"\r\n", b"\n"]))
    separators = [b"-"] * (len(lines) - 1) + [b" "]
    return b"".join(
        code + separator + line + end for separator, line in zip(separators, lines, strict=True)
    )


streams = st.lists(st.one_of(replies(), replies(), st.binary(max_size=12)), max_size=5).map(
    b"".join
)


def cut(data: bytes, at: list[int]) -> list[bytes]:
    edges = [0, *sorted(min(point, len(data)) for point in at), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


@given(streams, st.lists(st.integers(0, 200), max_size=6))
def test_pieces_do_not_matter(data: bytes, at: list[int]) -> None:
    whole = read([data])
    assert read(cut(data, at)) == whole
    assert read([data[point : point + 1] for point in range(len(data))]) == whole


@given(st.lists(replies(), min_size=1, max_size=5))
def test_replies_are_all_read(parts: list[bytes]) -> None:
    found, error = read([b"".join(parts)])
    assert error == ""
    assert [reply.code for reply in found] == [int(part[:3]) for part in parts]


@given(st.one_of(replies(), streams))
def test_the_shortcut_says_what_the_parser_says(data: bytes) -> None:
    short = single_line(data)
    if short is not None:
        parser = ReplyParser()
        parser.feed(data)
        assert parser.next() == short
        assert not parser.pending


@given(st.binary(max_size=3_000))
def test_text_is_printable(raw: bytes) -> None:
    text = printable(raw)
    assert text.isprintable()
    assert len(text) <= MAX_TEXT


@given(st.lists(st.binary(min_size=1, max_size=700), max_size=30))
def test_memory_is_bounded(pieces: list[bytes]) -> None:
    parser = ReplyParser()
    try:
        for piece in pieces:
            parser.feed(piece)
            while parser.next() is not None:
                pass
            assert len(parser.held) <= MAX_LINE
    except MalformedReply:
        pass


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("550 5.1.1 no such user", "550 5.1.1 no such user"),
        ("<who@example.org>: Relay access denied", "<...> Relay access denied"),
        ("no user who@example.org  here", "no user <...>  here"),
    ],
)
def test_what_may_be_logged_has_no_address(text: str, expected: str) -> None:
    assert without_addresses(text) == expected
