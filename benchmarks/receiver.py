"""Postfix's smtp-sink: a receiver that nobody here wrote, and that counts what it took."""

from __future__ import annotations

import os
import re
import shutil
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from benchmarks import meter
from benchmarks.errors import BenchmarkError
from campaignd.config import Relay
from campaignd.sandbox import binaries
from campaignd.sandbox.server import Server
from campaignd.sandbox.supervisor import Supervisor, unused_port

_SPARE: Final = 56
"""Connections beyond those of the sender: smtp-sink leaves more than it allows unanswered."""

_TAIL: Final = 4_096
"""Octets at the end of the counter's file, which hold many states of it."""

_SETTLE_SECONDS: Final = 5.0
"""For the last counts to be written after a sender has its last reply."""


class Receiver(Server):
    """Runs within its `with` block, on a free port.

    Its counter (`smtp-sink -c`) costs it one short write a message, for all candidates alike.
    """

    name = "smtp-sink"

    def __init__(self, supervisor: Supervisor, sessions: int, host: str = "127.0.0.1") -> None:
        """Raises BenchmarkError if Postfix is not installed."""
        super().__init__(supervisor)
        self._program = program("smtp-sink")
        self._sessions = sessions
        self.host = host
        self.port = unused_port()
        self.log = supervisor.folder / f"smtp-sink-{self.port}.log"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()
        self.log.unlink(missing_ok=True)

    def command(self) -> Sequence[str]:
        drop_root = ["-u", "nobody"] if os.geteuid() == 0 else []
        most = str(self._sessions + _SPARE)
        return [self._program, *drop_root, "-c", "-m", most, f"{self.host}:{self.port}", most]

    def relays(self) -> list[Relay]:
        """What leads a daemon here."""
        return [
            Relay(
                name="sink",
                host=self.host,
                port=self.port,
                tls="none",
                connections=self._sessions,
            )
        ]

    def answers(self) -> bool:
        try:
            with socket.create_connection((self.host, self.port), 1.0) as link:
                return link.recv(3) == b"220"
        except OSError:
            return False

    @property
    def messages(self) -> int:
        """How many it has taken."""
        with self.log.open("rb") as output:
            size = output.seek(0, os.SEEK_END)
            output.seek(max(0, size - _TAIL))
            return last_count(output.read())

    @property
    def last_message_at(self) -> float:
        """When it wrote its counter last (epoch seconds, exact to the kernel's tick)."""
        return self.log.stat().st_mtime

    @property
    def cpu_seconds(self) -> float:
        """What it has used."""
        return meter.cpu_seconds(self.pid)

    def expect(self, messages: int) -> None:
        """Raises BenchmarkError unless it has taken exactly this many."""
        deadline = time.monotonic() + _SETTLE_SECONDS
        while self.messages < messages and time.monotonic() < deadline:
            time.sleep(0.01)
        if self.messages != messages:
            raise BenchmarkError(f"smtp-sink took {self.messages} messages, not {messages}")


def last_count(output: bytes) -> int:
    """The last complete state in the output of `smtp-sink -c`; 0 before the first message."""
    counts = re.findall(rb"mesg=(\d+)[\r\n]", output)
    return int(counts[-1]) if counts else 0


def program(name: str) -> str:
    """Where a program of Postfix is. Raises BenchmarkError, saying what to install."""
    path = shutil.which(name, path=binaries.search_path())
    if path is None:
        raise BenchmarkError(f"{name} not found: install with `apt-get install postfix`")
    return str(Path(path))
