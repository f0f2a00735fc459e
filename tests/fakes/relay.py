"""A scripted SMTP server on loopback: a table of answers, with faults, per command.

    FakeRelay({"RCPT": [Say(b"450 4.2.0 later"), Say(b"250 ok")], "DOT": Close()})

A key is a command, or GREETING, BODY (the first octets of a message have arrived) or DOT (its
final dot has). A list is used up from its front, over all connections; its last entry stays.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Final, NamedTuple, Self

from tests.fakes.loop import until


class Say(NamedTuple):
    """Answers with these lines (without the last line end), `split` octets at a time."""

    text: bytes
    split: int = 0
    raw: bool = False
    """Write the text exactly as it is."""


class Close(NamedTuple):
    """Says this, then closes the connection."""

    text: bytes = b""


class Reset(NamedTuple):
    """Resets the connection."""


class Stall(NamedTuple):
    """Never answers, and reads no more."""


Answer = Say | Close | Reset | Stall

DEFAULTS: Final[Mapping[str, Answer]] = {
    "GREETING": Say(b"220 fake ESMTP"),
    "EHLO": Say(b"250-fake\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 1000000"),
    "HELO": Say(b"250 fake"),
    "MAIL": Say(b"250 2.1.0 Ok"),
    "RCPT": Say(b"250 2.1.5 Ok"),
    "DATA": Say(b"354 go"),
    "DOT": Say(b"250 2.0.0 queued"),
    "RSET": Say(b"250 2.0.0 Ok"),
    "QUIT": Close(b"221 2.0.0 Bye"),
    "STARTTLS": Say(b"220 2.0.0 Ready"),
}


class Received(NamedTuple):
    """A message whose final dot has arrived, as it was on the wire without that dot."""

    mail: bytes
    rcpt: bytes
    content: bytes


class FakeRelay:
    """The server; use it as an async context manager."""

    def __init__(
        self,
        script: Mapping[str, Answer | Sequence[Answer]] | None = None,
        *,
        tls: ssl.SSLContext | None = None,
        implicit: bool = False,
    ) -> None:
        self._script = {
            key: [value] if isinstance(value, tuple) and hasattr(value, "_fields") else list(value)
            for key, value in {**DEFAULTS, **(script or {})}.items()
        }
        self._tls = tls
        self._implicit = implicit
        self._server: asyncio.Server | None = None
        self._open: dict[asyncio.StreamWriter, asyncio.StreamReader] = {}
        self._stopped = asyncio.Event()
        self.port = 0
        self.received: list[Received] = []
        self.commands: list[bytes] = []
        """Every command line, without its end."""
        self.connections = 0
        self.lost_in_body = 0
        """Connections that ended between 354 and the final dot."""

    @property
    def open_connections(self) -> int:
        return len(self._open)

    async def __aenter__(self) -> Self:
        self._stopped.clear()
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", self.port, ssl=self._tls if self._implicit else None
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Closes the port and every connection."""
        assert self._server is not None
        self._server.close()
        self._stopped.set()
        for writer, reader in self._open.items():
            writer.transport.abort()
            reader.feed_eof()  # uvloop tells nobody of an end in mid-handshake
        await until(lambda: not self._open)
        await self._server.wait_closed()

    def say(self, key: str, *answers: Answer) -> None:
        """Changes what is answered from now on."""
        self._script[key] = list(answers)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._open[writer] = reader
        try:
            if await self._answer("GREETING", writer):
                await self._talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        finally:
            del self._open[writer]
            writer.transport.abort()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        mail = rcpt = b""
        while line := await reader.readline():
            line = line.rstrip(b"\r\n")
            self.commands.append(line)
            verb = line.split(b" ")[0].split(b":")[0].decode("ascii", "replace").upper()
            if verb == "MAIL":
                mail = line
            elif verb == "RCPT":
                rcpt = line
            key = verb if verb in self._script else "UNKNOWN"
            self._script.setdefault("UNKNOWN", [Say(b"500 5.5.2 what")])
            said = self._script[key][0]
            if not await self._answer(key, writer):
                return
            if verb == "STARTTLS" and self._tls is not None:
                await writer.start_tls(self._tls)
            if verb == "DATA" and isinstance(said, Say) and said.text.startswith(b"354"):
                content = await self._body(reader, writer)
                if content is None:
                    return
                if content:  # else it was a lone dot
                    self.received.append(Received(mail, rcpt, content))
                if not await self._answer("DOT", writer):
                    return

    async def _body(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bytes | None:
        content = bytearray()
        self.lost_in_body += 1
        while (line := await reader.readline()) != b".\r\n":
            if not line:
                return None
            content += line
            if "BODY" in self._script and not await self._answer("BODY", writer):
                return None
        self.lost_in_body -= 1
        return bytes(content)

    async def _answer(self, key: str, writer: asyncio.StreamWriter) -> bool:
        """Answers as scripted; false when the connection is over."""
        answers = self._script[key]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Reset):
            return False
        if isinstance(answer, Stall):
            await self._stopped.wait()
            return False
        assert isinstance(answer, Say | Close)
        text = answer.text
        if text and not (isinstance(answer, Say) and answer.raw):
            text += b"\r\n"
        size = answer.split if isinstance(answer, Say) and answer.split else len(text)
        for at in range(0, len(text), size or 1):
            writer.write(text[at : at + size])
            await writer.drain()
            if size < len(text):
                await asyncio.sleep(0.001)  # so that the pieces arrive as pieces
        if isinstance(answer, Close):
            if writer.can_write_eof():
                writer.write_eof()
            return False
        return True
