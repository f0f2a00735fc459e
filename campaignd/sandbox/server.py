"""What the private servers have in common: start, stop, kill, freeze, thaw, restart.

Blocking. A server keeps its address from its first start on, so that clients find it again.
"""

from __future__ import annotations

import abc
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from campaignd.errors import SandboxError
from campaignd.sandbox.supervisor import Child, Supervisor, minimal_environment

START_TIMEOUT: Final = 60.0
"""Seconds within which a server must answer; on an idle machine it takes one or two."""
STOP_TIMEOUT: Final = 30.0
"""Seconds for a clean stop, after which the server is killed."""
_POLL: Final = 0.01  # seconds between two looks at a starting server
_LOG_TAIL: Final = 30  # lines


class Server(abc.ABC):
    """One private server process."""

    name: str

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._child: Child | None = None
        self.log = supervisor.folder / f"{self.name}.log"

    @abc.abstractmethod
    def command(self) -> Sequence[str]:
        """The program and its arguments; also prepares the files that it needs."""

    @abc.abstractmethod
    def answers(self) -> bool:
        """Whether the server, which runs, is ready for clients. Takes a second at most."""

    def environment(self) -> Mapping[str, str]:
        """The environment of the process."""
        return minimal_environment(self._supervisor.folder)

    @property
    def pid(self) -> int:
        """Raises SandboxError if the server does not run."""
        return self._running().pid

    @property
    def running(self) -> bool:
        """Whether the process exists; true for a frozen one."""
        return self._child is not None and self._child.running

    def launch(self) -> None:
        """Starts the process and does not wait until it is ready."""
        self._supervisor.check_open()
        if self.running:
            raise SandboxError(f"{self.name} runs already")
        self._child = self._supervisor.spawn(self.command(), self.log, self.environment())

    def wait_ready(self, timeout: float = START_TIMEOUT) -> None:
        """Raises SandboxError, with the end of the server's log, if the server ends or does
        not answer within `timeout` seconds."""
        child = self._running()
        deadline = time.monotonic() + timeout
        while not self.answers():
            status = child.wait(_POLL)
            if status is not None:
                raise self._failure(f"{self.name} ended with status {status} while starting")
            if time.monotonic() > deadline:
                raise self._failure(f"{self.name} does not answer {timeout:g} s after its start")

    def start(self, timeout: float = START_TIMEOUT) -> None:
        """Starts the server and waits until it answers; see `wait_ready`."""
        self.launch()
        self.wait_ready(timeout)

    def stop(self, timeout: float = STOP_TIMEOUT) -> None:
        """Stops it cleanly, or kills it after `timeout` seconds. Thaws it first."""
        if self._child is not None:
            self._child.signal(signal.SIGCONT)
            self._child.signal(signal.SIGTERM)
            if self._child.wait(timeout) is None:
                self.kill()

    def kill(self) -> None:
        """As `kill -9` or a crash would; returns when the process is gone."""
        if self._child is not None:
            self._child.signal(signal.SIGKILL)
            if self._child.wait(STOP_TIMEOUT) is None:
                raise SandboxError(f"{self.name} (process {self._child.pid}) cannot be killed")

    def freeze(self) -> None:
        """Stops it from running (SIGSTOP): its clients wait, their connections stay."""
        self._running().signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Lets a frozen server run on (SIGCONT)."""
        self._running().signal(signal.SIGCONT)

    def restart(self, timeout: float = START_TIMEOUT) -> None:
        """Stops it cleanly if it runs, then starts it at the same address."""
        self.stop()
        self.start(timeout)

    def log_tail(self, lines: int = _LOG_TAIL) -> list[str]:
        """The last lines of what the server wrote."""
        return tail(self.log, lines)

    def _running(self) -> Child:
        if self._child is None or not self._child.running:
            raise SandboxError(f"{self.name} does not run")
        return self._child

    def _failure(self, what: str) -> SandboxError:
        lines = self.log_tail()
        error = SandboxError(f"{what}; its log ends: {' | '.join(lines[-3:]) or '(empty)'}")
        error.add_note("\n".join(lines))
        return error


def tail(log: Path, lines: int) -> list[str]:
    """The last non-empty lines of a log file; none of what is not a file, as /dev/full, whose
    reading never ends."""
    if not log.is_file():
        return []
    text = log.read_text("utf-8", "replace")
    return [line for line in text.splitlines() if line.strip()][-lines:]
