"""What a conversation over SMTP means, read from the bytes of both sides alone.

Independent of the machine under test: the whole log of a connection is read at its end, replies
are counted against commands (RFC 5321, 4.3.1), and a message is accepted if, and only if, the
reply with the number of its final dot came after that dot was written, is of class 2, and every
reply before it could belong to its own command.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from campaignd.model import Outcome
from campaignd.smtp.reply import MAX_LINE, MAX_REPLY

_CLASSES = {
    "MAIL": "245",
    "RCPT": "245",
    "DATA": "345",
    "DOT": "245",
    "LONE": "245",
    "RSET": "2",
    "QUIT": "245",
}
"""First digits that a reply to each may have if the conversation goes on in step."""

_BY_CLASS = {"2": Outcome.ACCEPTED, "4": Outcome.DEFERRED, "5": Outcome.REJECTED}
_COMMAND = re.compile(
    rb"(?:(MAIL) FROM:<[^<>\s\x00]*>(?: SIZE=\d+)?(?: BODY=8BITMIME)?(?: SMTPUTF8)?"
    rb"|(RCPT) TO:<([^<>\s\x00]+)>|(DATA)|(RSET)|(QUIT))\r\n"
)


class Said(NamedTuple):
    """A complete reply; `end` counts the octets of the server up to its end."""

    code: bytes
    end: int


class Written(NamedTuple):
    """A command, or the end of a message; `rcpt` is that of its transaction."""

    kind: str
    rcpt: bytes
    heard: int
    """Octets that the server had sent us before it was written."""
    event: int
    """Its place in the log."""


class Log:
    """What went over one connection, in the order in which our side saw it."""

    def __init__(self) -> None:
        self.events: list[tuple[bool, bytes]] = []
        """Whether it was ours, and the octets."""

    def wrote(self, data: bytes | memoryview) -> None:
        self.events.append((True, bytes(data)))

    def heard(self, data: bytes) -> None:
        self.events.append((False, data))


def replies(stream: bytes) -> tuple[list[Said], bool]:
    """The replies in all that a server has sent, and whether something else follows them."""
    found: list[Said] = []
    at = size = 0
    code = b""
    while (end := stream.find(b"\n", at) + 1) > 0:
        line = stream[at:end]
        body = line.rstrip(b"\r\n")
        size += len(line)
        well_formed = re.match(rb"[2-5][0-9][0-9](?=[ -]|\Z)", body)
        if (
            not well_formed
            or len(line) > MAX_LINE
            or size > MAX_REPLY
            or code not in (b"", body[:3])
        ):
            return found, True
        code = body[:3]
        at = end
        if body[3:4] != b"-":
            found.append(Said(code, end))
            code = b""
            size = 0
    return found, len(stream) - at > MAX_LINE


def commands(log: Log, said: list[Said]) -> list[Written]:
    """What we wrote. Fails when it is not SMTP, or speaks after DATA before DATA is answered."""
    written: list[Written] = []
    buffer = rcpt = b""
    heard = 0
    in_body = False
    for event, (ours, data) in enumerate(log.events):
        if not ours:
            heard += len(data)
            continue
        buffer += data
        while buffer:
            if written and written[-1].kind == "DATA":
                number = len(written) - 1
                assert number < len(said), "spoke after DATA before it was answered"
                assert said[number].end <= heard, "spoke after DATA before it was answered"
                in_body = said[number].code[:1] == b"3"
            if in_body:
                end, kind = _message_end(buffer)
                if not end:
                    break
                in_body = False
            else:
                match = _COMMAND.match(buffer)
                assert match, f"not a command: {buffer[:80]!r}"
                end = match.end()
                kind = next(filter(None, match.group(1, 2, 4, 5, 6))).decode()
                rcpt = match[3] if match[3] else b"" if kind == "MAIL" else rcpt
            written.append(Written(kind, rcpt, heard, event))
            buffer = buffer[end:]
    return written


def outcomes(log: Log) -> dict[bytes, Outcome]:
    """By recipient: what became of each message whose final dot was written. Recipients must
    differ between messages."""
    said, _ = replies(b"".join(data for ours, data in log.events if not ours))
    found: dict[bytes, Outcome] = {}
    in_step = True
    for number, command in enumerate(commands(log, said)):
        reply = said[number] if number < len(said) else None
        if reply is None or reply.end <= command.heard:
            in_step = False
        digit = reply.code[:1].decode() if reply else ""
        in_step = in_step and digit in _CLASSES[command.kind]
        if command.kind == "DOT":
            assert command.rcpt not in found, "a message was sent twice on one connection"
            found[command.rcpt] = _BY_CLASS[digit] if in_step else Outcome.UNKNOWN
    return found


def _message_end(buffer: bytes) -> tuple[int, str]:
    """Where a message ends, 0 if it does not yet."""
    if buffer.startswith(b".\r\n"):
        return 3, "LONE"
    end = buffer.find(b"\r\n.\r\n")
    return (end + 5, "DOT") if end >= 0 else (0, "")
