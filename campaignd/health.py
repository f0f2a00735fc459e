"""The daemon's HTTP endpoints: /healthz, /readyz and /metrics."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from campaignd import metrics
from campaignd.errors import UsageError


class HealthServer:
    """Binds at once, so that a taken port is a clear error; serves in `run`."""

    def __init__(self, address: tuple[str, int], trouble: Callable[[], str]) -> None:
        """`trouble` says why the daemon cannot work at present, or nothing.

        Raises UsageError if the address cannot be bound.
        """
        host, port = address
        try:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            self._socket = socket.create_server((host, port), family=family)
        except OSError as error:
            raise UsageError(f"[http] listen {host}:{port}: {error.strerror}") from None
        self.port: int = self._socket.getsockname()[1]
        self._trouble = trouble
        routes = [
            Route("/healthz", self._healthz),
            Route("/readyz", self._readyz),
            Route("/metrics", self._metrics),
        ]
        self._server = _Server(
            uvicorn.Config(
                Starlette(routes=routes),
                log_config=None,
                access_log=False,
                lifespan="off",
                timeout_graceful_shutdown=1,
                limit_concurrency=64,
                ws="none",
            )
        )

    async def run(self) -> None:
        """Serves until cancelled."""
        try:
            await self._server.serve(sockets=[self._socket])
        finally:
            self._socket.close()

    async def _healthz(self, request: Request) -> Response:
        return PlainTextResponse("alive\n")

    async def _readyz(self, request: Request) -> Response:
        trouble = self._trouble()
        return PlainTextResponse(f"{trouble or 'ready'}\n", status_code=503 if trouble else 200)

    async def _metrics(self, request: Request) -> Response:
        return Response(metrics.exposition(), media_type="text/plain; version=0.0.4")


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the daemon's."""
        yield
