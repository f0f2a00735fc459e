"""A private Redis that keeps nothing on disk: all that campaignd has in it may be lost.

With TCP it asks for a random password, which is part of the URL.
"""

from __future__ import annotations

import secrets
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from campaignd.sandbox.binaries import Binaries
from campaignd.sandbox.server import Server
from campaignd.sandbox.supervisor import Supervisor, unused_port

_PROBE_TIMEOUT: Final = 1.0  # seconds for the answer to PING


class RedisServer(Server):
    """`options` are further arguments of redis-server, which win over the built-in ones."""

    name = "redis-server"

    def __init__(
        self,
        supervisor: Supervisor,
        binaries: Binaries,
        *,
        tcp: bool = False,
        options: Sequence[str] = (),
    ) -> None:
        super().__init__(supervisor)
        self._binaries = binaries
        self._options = tuple(options)
        self.socket: Path = supervisor.folder / "redis.sock"
        self.port: int | None = unused_port() if tcp else None
        self._password = secrets.token_urlsafe(18) if tcp else ""

    @property
    def url(self) -> str:
        """What `[redis] url` takes, over TCP if that is on; contains the password then."""
        if self.port is None:
            return f"unix://{self.socket}"
        return f"redis://:{self._password}@127.0.0.1:{self.port}/0"

    def command(self) -> Sequence[str]:
        settings = self._supervisor.folder / "redis.conf"
        settings.touch(mode=0o600)
        settings.write_text(f"requirepass {self._password}\n" if self._password else "", "ascii")
        return [
            self._binaries.redis_server,
            str(settings),
            *("--port", str(self.port or 0)),
            *("--bind", "127.0.0.1"),
            *("--unixsocket", str(self.socket)),
            *("--unixsocketperm", "600"),
            *("--dir", str(self._supervisor.folder)),
            *("--save", ""),
            *("--appendonly", "no"),
            *("--daemonize", "no"),
            *self._options,
        ]

    def answers(self) -> bool:
        """A refusal for want of a password is an answer too; `-LOADING` is not."""
        try:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.settimeout(_PROBE_TIMEOUT)
                probe.connect(str(self.socket))
                probe.sendall(b"PING\r\n")
                return probe.recv(64).startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False
