"""A long line: what is sent arrives a fixed time later, and round trips are counted."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

CHUNK = 65_536
"""Octets that are read at once."""


class Line:
    """Forwards to `target` on 127.0.0.1; see `line`."""

    def __init__(self, target: int, delay: float) -> None:
        self.port = 0
        """Where it listens on 127.0.0.1."""
        self.turns = 0
        """How often a client said something after it had heard something."""
        self._target = target
        self._delay = delay

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client's connection."""
        there, back = await asyncio.open_connection("127.0.0.1", self._target)
        heard = asyncio.Event()
        with suppress(ConnectionError):
            async with asyncio.TaskGroup() as group:
                group.create_task(self._up(reader, back, heard))
                group.create_task(self._down(there, writer, heard))

    async def _up(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, heard: asyncio.Event
    ) -> None:
        while data := await reader.read(CHUNK):
            if heard.is_set():
                heard.clear()
                self.turns += 1
            self._later(writer, data)
        self._later(writer, b"")

    async def _down(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, heard: asyncio.Event
    ) -> None:
        while data := await reader.read(CHUNK):
            # Our delayed ACKs, which are not the client's, must not hold up the server.
            sock: socket.socket = writer.get_extra_info("socket")
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
            heard.set()
            self._later(writer, data)
        self._later(writer, b"")

    def _later(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        """What has come now goes on after the delay; nothing stands for the end."""
        loop = asyncio.get_running_loop()
        if data:
            loop.call_later(self._delay, writer.write, data)
        else:
            loop.call_later(self._delay, writer.close)


@asynccontextmanager
async def line(target: int, delay: float) -> AsyncIterator[Line]:
    """A line to a port of 127.0.0.1; `delay` is in seconds, one way."""
    made = Line(target, delay)
    async with asyncio.TaskGroup() as group:

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            group.create_task(made.serve(reader, writer))

        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        made.port = server.sockets[0].getsockname()[1]
        async with server:
            yield made
