"""A relay on loopback that does what it likes, as a seed says, and keeps the log of the wire.

The handshake is mostly in order, so that there are sessions to attack. Time is short: a stall is
until the other side hangs up, a drip is an octet every few milliseconds.
"""

from __future__ import annotations

import asyncio
import random
from types import TracebackType
from typing import Final, Self

from tests.fuzz.server import SAYINGS
from tests.fuzz.wire import Log

EHLO: Final = b"250-fuzz\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 1000000\r\n"
DRIP_SECONDS: Final = 0.005
FLOOD: Final = b"250-" + b"x" * 60 + b"\r\n"

_GOOD: Final = {b"MAIL": b"250 ok\r\n", b"RCPT": b"250 ok\r\n", b"DATA": b"354 go\r\n"}


class HostileRelay:
    """The server; use it as an async context manager."""

    def __init__(self, seed: int, *, malice: float = 0.15) -> None:
        """`malice` is the chance that an answer is not what it should be."""
        self._chance = random.Random(seed)
        self._malice = malice
        self._server: asyncio.Server | None = None
        self._talks: set[asyncio.Task[None]] = set()
        self.port = 0
        self.logs: list[Log] = []
        self.flooded = 0
        """Octets of the longest flood that went out before the other side hung up."""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        for talk in self._talks:
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = asyncio.current_task()
        assert talk is not None
        self._talks.add(talk)
        try:
            if await self._greet(reader, writer):
                log = Log()
                self.logs.append(log)
                await self._talk(reader, writer, log)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        except asyncio.LimitOverrunError:
            raise AssertionError("a line without end") from None
        finally:
            self._talks.discard(talk)
            writer.transport.abort()

    async def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """False when there is to be no session."""
        for answer in (b"220 fuzz\r\n", EHLO):
            if self._chance.random() < self._malice / 3:
                await self._mischief(writer, None)
                return False
            await self._write(writer, answer, None)
            if answer != EHLO:
                await reader.readuntil(b"\r\n")
        return True

    async def _talk(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, log: Log
    ) -> None:
        """Answers what comes; what is left of it when the talk ends is logged too."""
        in_body = False
        try:
            while True:
                line = await reader.readuntil(b"\r\n")
                log.wrote(line)
                if in_body and line != b".\r\n":
                    continue
                answer = b"250 ok\r\n" if in_body else _GOOD.get(line[:4], b"250 ok\r\n")
                in_body = False
                if self._chance.random() < self._malice:
                    answer = await self._mischief(writer, log)
                else:
                    await self._write(writer, answer, log)
                in_body = line == b"DATA\r\n" and answer.startswith(b"3")
        except asyncio.IncompleteReadError as error:
            log.wrote(error.partial)

    async def _mischief(self, writer: asyncio.StreamWriter, log: Log | None) -> bytes:
        """Returns what was said, if the talk goes on."""
        turn = self._chance.randint(0, 9)
        if turn == 0:
            raise ConnectionResetError
        if turn == 1:
            await self._flood(writer)
        if turn == 2:
            await self._drip(writer)
        if turn == 3:
            await asyncio.sleep(60)
        said = b"".join(self._chance.choices(SAYINGS, k=self._chance.randint(1, 3)))
        await self._write(writer, said, log)
        return said

    async def _write(self, writer: asyncio.StreamWriter, said: bytes, log: Log | None) -> None:
        """In one piece or several."""
        size = self._chance.choice((len(said), len(said), 1, 7))
        for at in range(0, len(said), size):
            piece = said[at : at + size]
            if log is not None:
                log.heard(piece)
            writer.write(piece)
            await writer.drain()
            if size < len(said):
                await asyncio.sleep(0)

    async def _flood(self, writer: asyncio.StreamWriter) -> None:
        sent = 0
        try:
            while True:
                writer.write(FLOOD * 500)
                sent += len(FLOOD) * 500
                self.flooded = max(self.flooded, sent)
                await writer.drain()
        finally:
            writer.transport.abort()

    async def _drip(self, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b"250-x\r\n"[:1])
            await writer.drain()
            await asyncio.sleep(DRIP_SECONDS)
