"""The receiving side of one SMTP session as octets in, octets out; without I/O.

Feed it what arrives, in any portions; it answers with what to write. Made to take very many
messages: a pipelined MAIL, RCPT, DATA group is read and answered in one step, and content is
searched once. It is strict where a sender's fault would go unnoticed elsewhere: it counts what
a client sends before it may.
"""

from __future__ import annotations

import re
from typing import Final

from campaignd.sandbox.commands import Commands
from campaignd.sandbox.receiver import Receiver

_LINE_LIMIT: Final = 12_288
"""Octets of a command line: RFC 4954, 4, which is above RFC 5321, 4.5.3.1.4."""
_GROUP = re.compile(
    rb"MAIL FROM:<([^<>\"\s\x00\x7f-\xff]*)>((?: [^\s]+)*)\r\n"
    rb"RCPT TO:<([^<>\"\s\x00\x7f-\xff]+)>\r\nDATA\r\n",
    re.I,
).match
_END: Final = b"\r\n.\r\n"


class Dialogue:
    """The stream of one session. `receive` and `resume` return what to write, which must not
    happen before what the receiver took is kept.

    Afterwards look at `commands`: if `closing`, close. If `hold` is above 0, read no more and
    call `resume` after so many seconds. If `starttls`, read no more plaintext, start TLS, then
    call `commands.secured`.
    """

    def __init__(self, receiver: Receiver, commands: Commands) -> None:
        self.commands = commands
        self._counters = receiver.counters
        self._pipelining = receiver.policy.pipelining
        self._size_limit = receiver.policy.size_limit
        self._rest = b""
        self._content = bytearray()
        self._too_big = False

    def receive(self, data: bytes) -> bytes:
        """Takes octets as they arrive."""
        if self._rest:
            data, self._rest = self._rest + data, b""
        commands = self.commands
        position, end = 0, len(data)
        out: list[bytes] = []
        while position < end and not commands.closing:
            if commands.hold or commands.starttls:
                self._rest = data[position:]
                break
            if commands.expects_content:
                position = self._read_content(data, position, out)
                continue
            after = self._read_command(data, position, out)
            if after == position:  # not all of a line
                self._rest = data[position:]
                break
            position = after
        return out[0] if len(out) == 1 else b"".join(out)

    def resume(self) -> bytes:
        """To be called `commands.hold` seconds after it was set."""
        held = self.commands.release()
        return held + self.receive(b"")

    def _read_command(self, data: bytes, position: int, out: list[bytes]) -> int:
        """Answers one line or one group; returns where the next starts, or `position`."""
        commands = self.commands
        if self._pipelining and commands.takes_group:
            group = _GROUP(data, position)
            if group is not None:
                out.append(commands.group(group[1], group[2], group[3]))
                if commands.in_transaction:
                    return self._check_early(data, group.end())
                return data.index(b"\r\n", position) + 2
        end = data.find(b"\r\n", position)
        if end < 0 or end - position > _LINE_LIMIT:
            if len(data) - position > _LINE_LIMIT:
                out.append(commands.line_too_long())
            return position
        out.append(commands.command(data[position:end]))
        return self._check_early(data, end + 2)

    def _read_content(self, data: bytes, position: int, out: list[bytes]) -> int:
        """Searches the final dot; returns where the next command starts, or the end."""
        content = self._content
        if not content:
            if not data.startswith(b".\r\n", position):
                end = data.find(_END, position)
                if end >= 0:
                    out.append(self.commands.content(data[position : end + 2]))
                    return self._check_early(data, end + 5)
            content += b"\r\n"  # the line end before the content counts for the final dot
        before = len(content)
        content += data[position:] if position else data
        end = content.find(_END, max(0, before - 4))
        if end >= 0:
            out.append(self.commands.content(bytes(content[2 : end + 2]), too_big=self._too_big))
            content.clear()
            self._too_big = False
            return self._check_early(data, position + end + 5 - before)
        if len(content) > self._size_limit + 7:
            self._too_big = True
            del content[2:-4]
        return len(data)

    def _check_early(self, data: bytes, position: int) -> int:
        """Counts what came before the client can have read the reply; returns `position`."""
        commands = self.commands
        if position < len(data) and (
            commands.expects_content or commands.starttls or not self._pipelining
        ):
            self._counters.early_input += 1
            if commands.starttls:  # put before TLS, maybe by an attacker (CVE-2011-0411)
                commands.closing = True
        return position
