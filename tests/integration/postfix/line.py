"""A long line: what is sent arrives a fixed time later, and round trips are counted."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self, cast


class Line:
    """Listens on `port` of 127.0.0.1 and forwards to `target` there; an async context manager."""

    def __init__(self, target: int, delay: float) -> None:
        """`delay` is in seconds, for one way."""
        self.port = 0
        self.turns = 0
        """How often a client said something after it had heard something."""
        self._target = target
        self._delay = delay
        self._open: set[asyncio.Transport] = set()

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _End(self, None), "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.close()
        for transport in self._open:
            transport.abort()

    def opened(self, transport: asyncio.Transport) -> None:
        self._open.add(transport)

    def closed(self, transport: asyncio.Transport) -> None:
        self._open.discard(transport)

    async def connect(self, client: _End) -> None:
        """The other half of a connection."""
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: _End(self, client), "127.0.0.1", self._target)

    def later(self, deliver: asyncio.Future[None] | None = None) -> float:
        """When what is sent now arrives."""
        return asyncio.get_running_loop().time() + self._delay


class _End(asyncio.Protocol):
    """One socket; without `peer` a client's, for which the other is opened."""

    def __init__(self, line: Line, peer: _End | None) -> None:
        self._line = line
        self._client = peer is None
        self._peer = peer
        self._early: list[bytes] = []
        self._heard = False
