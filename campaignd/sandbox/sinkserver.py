"""A sink as a process: until a signal, or as `python -m campaignd.sandbox.sinkserver SETTINGS`
with settings in JSON, which is how `SinkProcess` runs it. People use `campaignd sink`.
"""

from __future__ import annotations

import asyncio
import resource
import signal
import ssl
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import uvloop

from campaignd.config import Config
from campaignd.errors import UsageError
from campaignd.sandbox.auth import Credentials
from campaignd.sandbox.counters import Counters
from campaignd.sandbox.policy import SinkPolicy
from campaignd.sandbox.sink import Sink


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that makes a sink; see `Sink`. Paths are absolute."""

    policy: SinkPolicy = SinkPolicy()
    host: str = "127.0.0.1"
    port: int = 0
    log: str | None = None
    certificate: str | None = None
    """A PEM file with the chain and the key; turns on STARTTLS."""
    implicit_tls: bool = False
    username: str | None = None
    password_file: str | None = None
    keep: int = 0
    keep_for: str | None = None
    keep_folder: str | None = None
    counters: str | None = None
    """The file that gets the counters as JSON in the end."""


def build(settings: Settings) -> Sink:
    """Raises UsageError when a file cannot be used."""
    credentials = None
    if settings.username is not None and settings.password_file is not None:
        credentials = Credentials(settings.username, Config().secret(settings.password_file))
    return Sink(
        settings.policy,
        host=settings.host,
        port=settings.port,
        log=Path(settings.log) if settings.log else None,
        tls=server_context(Path(settings.certificate)) if settings.certificate else None,
        implicit_tls=settings.implicit_tls,
        credentials=credentials,
        keep=settings.keep,
        keep_for=settings.keep_for,
        keep_folder=Path(settings.keep_folder) if settings.keep_folder else None,
    )


def server_context(certificate: Path) -> ssl.SSLContext:
    """A context from one PEM file with the chain and the key. Raises UsageError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate)
    except OSError as error:  # SSLError is one
        raise UsageError(f"certificate {certificate}: {error.strerror or error}") from None
    return context


async def serve(sink: Sink, announce: Callable[[Sink], None]) -> Counters:
    """Runs a sink until SIGTERM or SIGINT and returns what it counted.

    `announce` is called when it listens. Raises UsageError if it cannot.
    """
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with sink:
        announce(sink)
        await stop.wait()
    return sink.counters


def allow_many_sessions() -> None:
    """Raises the soft limit of open files to the hard one: every session needs one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def main() -> None:
    """Serves as the settings in the first argument say."""
    settings = msgspec.json.decode(sys.argv[1], type=Settings)
    allow_many_sessions()
    try:
        counters = uvloop.run(
            serve(build(settings), lambda sink: print(f"listening on port {sink.port}", flush=True))
        )
    except UsageError as error:
        sys.exit(f"sink: {error}")
    if settings.counters is not None:
        Path(settings.counters).write_bytes(msgspec.json.encode(counters))


if __name__ == "__main__":
    main()
