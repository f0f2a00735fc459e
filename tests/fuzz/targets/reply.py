"""The reply parser, whole and in pieces, against a reader of whole streams."""

from __future__ import annotations

from campaignd.smtp.reply import (
    MAX_LINE,
    MAX_TEXT,
    MalformedReply,
    Reply,
    ReplyParser,
    single_line,
)
from tests.fuzz import wire
from tests.fuzz.choices import Choices, cut
from tests.fuzz.server import stream


def run(data: bytes) -> None:
    choices = Choices(data)
    pieces = choices.number(0, 12)
    said = stream(choices) if choices.flag() else choices.take(max(0, choices.left - pieces))
    expected, malformed = wire.replies(said)
    found, error = _read([said])
    assert [b"%d" % reply.code for reply in found] == [reply.code for reply in expected]
    assert bool(error) == malformed
    assert _read(cut(choices, said)) == (found, error)
    size = 1 + len(said) // 2_000  # else the longest would take all the time
    assert _read([said[at : at + size] for at in range(0, len(said), size)]) == (found, error)
    for reply in found:
        assert reply.text.isprintable()
        assert len(reply.text) <= MAX_TEXT
        assert reply.text.startswith(reply.enhanced)
    if (short := single_line(said)) is not None:
        assert [short] == found
        assert expected[0].end == len(said)


def _read(pieces: list[bytes]) -> tuple[list[Reply], str]:
    parser = ReplyParser()
    found: list[Reply] = []
    try:
        for piece in pieces:
            parser.feed(piece)
            while (reply := parser.next()) is not None:
                found.append(reply)
            assert len(parser.held) <= MAX_LINE
    except MalformedReply as error:
        return found, str(error)
    return found, ""
