"""A relay on loopback that does what it likes, as a seed says.

The handshake is mostly in order, so that there are sessions to attack. Time is short: a stall is
until the other side hangs up, a drip is an octet every few milliseconds.
"""

from __future__ import annotations

import asyncio
import random
from types import TracebackType
from typing import Final, Self

from tests.fakes.loop import until
from tests.fuzz.server import SAYINGS

EHLO: Final = b"250-fuzz\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 1000000\r\n"
DRIP_SECONDS: Final = 0.005
FLOOD: Final = b"250-" + b"x" * 60 + b"\r\n"

_GOOD: Final = {b"MAIL": b"250 ok\r\n", b"RCPT": b"250 ok\r\n", b"DATA": b"354 go\r\n"}


class HostileRelay:
    """The server; use it as an async context manager."""

    def __init__(self, seed: bytes, *, malice: float) -> None:
        """`malice` is the chance that an answer is not what it should be."""
        self._chance = random.Random(seed)
        self._malice = malice
        self._server: asyncio.Server | None = None
        self._talks: set[asyncio.Task[None]] = set()
        self.port = 0
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
        await until(lambda: not self._talks, "our side hung up")
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = asyncio.current_task()
        assert talk is not None
        self._talks.add(talk)
        try:
            if await self._greet(reader, writer):
                await self._talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # our side hung up
        finally:
            self._talks.discard(talk)
            writer.transport.abort()

    async def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """False when there is to be no session."""
        for answer in (b"220 fuzz\r\n", EHLO):
            if self._chance.random() < self._malice / 3:
                await self._mischief(reader, writer)
                return False
            await self._write(writer, answer)
            if answer != EHLO:
                await reader.readuntil(b"\r\n")
        return True

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        in_body = False
        while True:
            line = await reader.readuntil(b"\r\n")
            if in_body and line != b".\r\n":
                continue
            answer = b"250 ok\r\n" if in_body else _GOOD.get(line[:4], b"250 ok\r\n")
            if self._chance.random() < self._malice:
                answer = await self._mischief(reader, writer)
            else:
                await self._write(writer, answer)
            in_body = line == b"DATA\r\n" and answer.startswith(b"3")

    async def _mischief(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        """Returns what was said, if the talk goes on."""
        turn = self._chance.randint(0, 9)
        if turn == 0:
            raise ConnectionResetError
        if turn == 1:
            await self._flood(writer)
        if turn == 2:
            await drip_for_ever(writer, b"2")
        if turn == 3:
            await reader.readuntil(b"the other side hangs up")
        said = b"".join(self._chance.choices(SAYINGS, k=self._chance.randint(1, 3)))
        await self._write(writer, said)
        return said

    async def _write(self, writer: asyncio.StreamWriter, said: bytes) -> None:
        """In one piece or several."""
        size = self._chance.choice((len(said), len(said), 1, 7))
        for at in range(0, len(said), size):
            piece = said[at : at + size]
            await send(writer, piece)
            if size < len(said):
                await asyncio.sleep(0)

    async def _flood(self, writer: asyncio.StreamWriter) -> None:
        sent = 0
        try:
            while True:
                await send(writer, FLOOD * 500)
                sent += len(FLOOD) * 500
                self.flooded = max(self.flooded, sent)
        finally:
            writer.transport.abort()


async def send(writer: asyncio.StreamWriter, data: bytes) -> None:
    """Raises ConnectionError when the other side has hung up, as uvloop does not always."""
    if writer.transport.is_closing():
        raise ConnectionResetError
    writer.write(data)
    await writer.drain()


async def drip_for_ever(writer: asyncio.StreamWriter, drip: bytes) -> None:
    """Octet by octet, over and over, until the other side hangs up."""
    while True:
        for at in range(len(drip)):
            await send(writer, drip[at : at + 1])
            await asyncio.sleep(DRIP_SECONDS)
