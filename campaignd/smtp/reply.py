"""Reads SMTP replies (RFC 5321, 4.2) from bytes that arrive in any pieces.

It must never guess: what is not a reply raises MalformedReply, and what has been read does not
depend on how the bytes were cut. Memory is bounded by MAX_LINE and MAX_REPLY.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from campaignd.errors import CampaigndError

MAX_LINE: Final = 2_048
"""Octets in one reply line. RFC 5321, 4.5.3.1.5 allows 512; Postfix reads up to 2,048."""

MAX_REPLY: Final = 32_768
"""Octets in one reply of many lines; RFC 5321 sets no limit. Real ones stay below 4,096."""

MAX_TEXT: Final = 500
"""Characters of a reply's text that are kept, as `Verdict.text` promises."""

_CODES: Final = {b"%d" % code: code for code in range(200, 600)}
"""The codes we accept. RFC 5321 stops the second digit at 5, but 571 and the like are in use.
1yz is not among them: no SMTP command has such a reply."""

_ENHANCED: Final = re.compile(r"([245])\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})(?![^ ])", re.ASCII)


_SHORT: Final = {
    f"{kind}.{subject}.{detail}": kind
    for kind in (2, 4, 5)
    for subject in range(10)
    for detail in range(10)
}
"""The enhanced codes of single digits, nearly all that are in use, with their class."""


class MalformedReply(CampaigndError):
    """The server sent bytes that are not an SMTP reply."""


class Reply(NamedTuple):
    """One complete reply."""

    code: int
    enhanced: str
    """The enhanced status code (RFC 2034 and 3463), or an empty string when there is none or
    when its class contradicts the basic code."""
    text: str
    """What follows the code, the lines joined by a space; printable, at most MAX_TEXT long."""


def single_line(data: bytes) -> Reply | None:
    """The reply, when `data` is exactly one reply of one line; else None, and a ReplyParser
    must say what it is. The two never disagree."""
    if data[3:4] != b" " or data.find(b"\n") != len(data) - 1 or len(data) > MAX_LINE:
        return None
    code = _CODES.get(data[:3])
    if code is None:
        return None
    return _reply(code, data[4:].rstrip(b"\r\n"))


class ReplyParser:
    """Takes bytes with `feed`, gives replies with `next`."""

    __slots__ = ("_buffer", "_code", "_lines", "_size")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._lines: list[bytes] = []
        self._code = 0
        self._size = 0

    @property
    def pending(self) -> bool:
        """Whether bytes are held that no reply has been made of."""
        return bool(self._buffer) or bool(self._lines)

    @property
    def held(self) -> bytes:
        """The bytes of `pending`, but for the complete lines of an incomplete reply."""
        return bytes(self._buffer)

    def may_become(self, code: int) -> bool:
        """Whether what is pending is, or can still become, a reply with this code."""
        if self._lines:
            return self._code == code
        digits = b"%d" % code
        return digits.startswith(bytes(self._buffer[: len(digits)]))

    def feed(self, data: bytes) -> None:
        """Adds what arrived. Call `next` until it returns None before feeding again, else the
        bound on memory does not hold."""
        self._buffer += data

    def next(self) -> Reply | None:
        """The next complete reply, or None when more bytes are needed.

        Raises MalformedReply; the parser is of no use after that.
        """
        buffer = self._buffer
        while True:
            end = buffer.find(b"\n") + 1
            if not end:
                if len(buffer) > MAX_LINE:
                    raise MalformedReply("a reply line is too long")
                return None
            if end > MAX_LINE:
                raise MalformedReply("a reply line is too long")
            line = bytes(buffer[:end])
            del buffer[:end]
            if self._add(line.rstrip(b"\r\n"), end):
                text = b" ".join(self._lines)
                self._lines.clear()
                self._size = 0
                return _reply(self._code, text)

    def _add(self, line: bytes, size: int) -> bool:
        """Takes one line without its end; true when it completes the reply."""
        code = _CODES.get(line[:3])
        separator = line[3:4]
        if code is None or separator not in (b" ", b"-", b""):
            raise MalformedReply(f"not a reply: {printable(line[:80])!r}")
        if self._lines and code != self._code:
            raise MalformedReply(f"a reply changes its code from {self._code} to {code}")
        self._size += size
        if self._size > MAX_REPLY:
            raise MalformedReply("a reply is too long")
        self._code = code
        self._lines.append(line[4:])
        return separator != b"-"


def printable(raw: bytes) -> str:
    """Text that is safe to log and to store: UTF-8 where it is that, nothing unprintable,
    at most MAX_TEXT characters."""
    text = raw[: 4 * MAX_TEXT].decode("utf-8", "replace")[:MAX_TEXT]
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else " " if c.isspace() else "?" for c in text)


def without_addresses(text: str) -> str:
    """The text as it may be logged: servers like to repeat the recipient."""
    if "@" not in text:
        return text
    return " ".join(["<...>" if "@" in word else word for word in text.split(" ")])


def _reply(code: int, raw: bytes) -> Reply:
    text = printable(raw)
    if text[5:6] == " " and _SHORT.get(text[:5]) == code // 100:  # what the pattern would say
        return Reply(code, text[:5], text)
    match = _ENHANCED.match(text)
    if match is None or int(match[1]) != code // 100:
        return Reply(code, "", text)
    return Reply(code, match[0], text)
