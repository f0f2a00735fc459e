"""uvicorn as we use it: on a socket that is bound at once, and with a deadline for each request.

uvicorn itself waits for a request's head for as long as it takes; a client that sends an octet a
minute would hold a connection for ever.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from campaignd.errors import UsageError

HEAD_SECONDS: Final = 10.0
"""From the start of a connection, or the end of the last answer, to a complete request head."""

MAX_HEAD: Final = 16_384  # octets
CONNECTIONS: Final = 1_000
"""Above it, requests are answered 503. A proxy in front uses tens."""

DRAIN_SECONDS: Final = 15
"""For what is under way when the process ends: longer than a POST waits for MySQL."""


class Listener:
    """Binds at once, so that a taken port is a clear error; serves in `run`."""

    def __init__(self, address: tuple[str, int], app: ASGIApp) -> None:
        """Raises UsageError if the address cannot be bound."""
        host, port = address
        try:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            self._socket = socket.create_server((host, port), family=family, backlog=1_024)
        except OSError as error:
            raise UsageError(f"[web] listen {host}:{port}: {error.strerror}") from None
        self.port: int = self._socket.getsockname()[1]
        self._server = _Server(
            uvicorn.Config(
                app,
                http=DeadlineProtocol,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,  # it would hold links
                proxy_headers=False,  # see clients.py
                server_header=False,
                h11_max_incomplete_event_size=MAX_HEAD,
                limit_concurrency=CONNECTIONS,
                timeout_keep_alive=5,
                timeout_graceful_shutdown=DRAIN_SECONDS,
            )
        )
        # It warns of what any client may send, at any rate; our own events say what matters.
        logging.getLogger("uvicorn").setLevel(logging.CRITICAL)
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)

    async def run(self) -> None:
        """Serves until `stop` was called and what was under way is answered."""
        try:
            await self._server.serve(sockets=[self._socket])
        finally:
            self._socket.close()

    def stop(self) -> None:
        """No new requests; the second time, none at all."""
        self._server.force_exit = self._server.should_exit
        self._server.should_exit = True


class DeadlineProtocol(H11Protocol):
    """Closes a connection that takes longer than HEAD_SECONDS to ask for something, whatever it
    sends meanwhile. The body has a deadline of its own, where it is read."""

    _deadline: asyncio.TimerHandle | None = None
    _asked: object = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect()

    def handle_events(self) -> None:
        super().handle_events()
        if self.cycle is not self._asked:
            self._asked = self.cycle
            self._relax()

    def on_response_complete(self) -> None:
        self._expect()  # before the next request is taken out of what has come already
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._relax()
        super().connection_lost(exc)

    def _expect(self) -> None:
        self._relax()
        self._deadline = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _relax(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are for the process, not for one of its servers."""
        yield
