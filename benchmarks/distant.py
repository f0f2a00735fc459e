"""Receivers at the end of a line that delays every packet, in a network namespace of our own.

Nothing but loopback addresses is used, and the namespace has no other interface: no packet can
leave the machine. It ends with this process and its children.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from benchmarks import line, meter
from benchmarks.errors import BenchmarkError
from benchmarks.receiver import Receiver
from campaignd.config import Relay
from campaignd.sandbox.server import Server
from campaignd.sandbox.supervisor import Supervisor

_CLONE_NEWNET: Final = 0x40000000  # linux/sched.h; os.unshare is of Python 3.12
_LOCALHOST: Final = "127.0.0.1"


class NoLine(BenchmarkError):
    """This machine, or this user, cannot make a line."""


def enter() -> None:
    """Moves this process, and all that it starts from now on, to a network namespace of its own.

    To be called before any server is started and while there is one thread. Does nothing when
    that has happened. Raises NoLine where it is not possible.
    """
    global _entered  # of a process there is one
    if _entered:
        return
    if not Path("/dev/net/tun").exists() or shutil.which("ip") is None:
        raise NoLine("a line needs /dev/net/tun and the `ip` command (apt-get install iproute2)")
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNET):
        reason = os.strerror(ctypes.get_errno())
        raise NoLine(f"a line needs the right to make a network namespace, as root has: {reason}")
    _entered = True
    try:
        line.ip("link", "set", "lo", "up")
        # lo shall not have the line's addresses.
        line.ip("addr", "del", f"{_LOCALHOST}/8", "dev", "lo")
        line.ip("addr", "add", f"{_LOCALHOST}/32", "dev", "lo")
    except subprocess.SubprocessError as error:
        raise NoLine(f"the network namespace cannot be set up: {error}") from None


_entered = False


class Line(Server):
    """The process; `seconds` is one way. One at a time."""

    name = "line"

    def __init__(self, supervisor: Supervisor, seconds: float) -> None:
        super().__init__(supervisor)
        self._seconds = seconds
        self._read = 0

    def command(self) -> Sequence[str]:
        self._read = self.log.stat().st_size if self.log.exists() else 0
        return [sys.executable, line.__file__, str(self._seconds)]

    def environment(self) -> Mapping[str, str]:
        return os.environ

    def answers(self) -> bool:
        return b"open" in self.log.read_bytes()[self._read :]


class DistantReceiver(Receiver):
    """smtp-sink at the other end of a line; `one_way` is in seconds. `enter` comes first.

    What the line uses of the processor is not counted as the receiver's.
    """

    def __init__(
        self, supervisor: Supervisor, sessions: int, one_way: float, *, pipelining: bool = True
    ) -> None:
        super().__init__(supervisor, sessions, line.NEAR)
        self.line = Line(supervisor, one_way)
        self._pipelining = pipelining

    def __enter__(self) -> Self:
        self.line.start()
        try:
            return super().__enter__()
        except BaseException:
            self.line.kill()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, traceback)
        self.line.kill()

    @property
    def line_cpu_seconds(self) -> float:
        """What the line has used."""
        return meter.cpu_seconds(self.line.pid)

    def relays(self) -> list[Relay]:
        return [
            Relay(
                name="distant",
                host=line.FAR,
                port=self.port,
                tls="none",
                connections=self._sessions,
                pipelining=self._pipelining,
            )
        ]
