"""A receiver at the end of a line: smtp-sink behind a process that delays every octet."""

from __future__ import annotations

import socket
import sys
from collections.abc import Mapping, Sequence
from os import environ
from types import TracebackType
from typing import Self

from benchmarks import delayline, meter
from benchmarks.receiver import Receiver
from campaignd.config import Relay
from campaignd.sandbox.server import Server
from campaignd.sandbox.supervisor import Supervisor, unused_port


class DelayLine(Server):
    """The process; `seconds` is one way."""

    name = "delay-line"

    def __init__(self, supervisor: Supervisor, target: int, seconds: float) -> None:
        super().__init__(supervisor)
        self.port = unused_port()
        self._target = target
        self._seconds = seconds
        self.log = supervisor.folder / f"delay-line-{self.port}.log"

    def command(self) -> Sequence[str]:
        return [
            *(sys.executable, "-m", delayline.__name__),
            *(str(self.port), str(self._target), str(self._seconds)),
        ]

    def environment(self) -> Mapping[str, str]:
        return environ

    def answers(self) -> bool:
        try:
            with socket.create_connection((delayline.HOST, self.port), 1.0) as link:
                return link.recv(3) == b"220"
        except OSError:
            return False


class DistantReceiver(Receiver):
    """`one_way` is in seconds; the processor time of the line is not the receiver's."""

    def __init__(
        self, supervisor: Supervisor, sessions: int, one_way: float, *, pipelining: bool = True
    ) -> None:
        super().__init__(supervisor, sessions)
        self.line = DelayLine(supervisor, self.port, one_way)
        self._pipelining = pipelining

    def __enter__(self) -> Self:
        super().__enter__()
        self.line.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.line.kill()
        super().__exit__(kind, error, traceback)

    @property
    def line_cpu_seconds(self) -> float:
        """What the line has used."""
        return meter.cpu_seconds(self.line.pid)

    def relays(self) -> list[Relay]:
        return [
            Relay(
                name="distant",
                host=delayline.HOST,
                port=self.line.port,
                tls="none",
                connections=self._sessions,
                pipelining=self._pipelining,
            )
        ]
