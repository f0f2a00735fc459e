"""One daemon as a process, with proxies on its ways to MySQL, Redis and the receiver."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from campaignd.errors import SandboxError
from campaignd.sandbox.server import Server
from campaignd.sandbox.supervisor import unused_port
from tests.faults.proxy import Proxy

if TYPE_CHECKING:
    from tests.faults.stage import Stage


class Event(NamedTuple):
    """One line of a daemon's log."""

    at: float
    name: str
    fields: dict[str, Any]


class Host(Server):
    """One daemon, with proxies on its ways to MySQL, Redis and the receiver."""

    def __init__(self, stage: Stage, name: str, launcher: Sequence[str] | None = None) -> None:
        self.name = name
        super().__init__(stage.box.supervisor)
        self.log = stage.folder / f"{name}.log"
        self.mysql = Proxy(stage.box.mariadb.socket)
        self.redis = Proxy(stage.box.redis.socket)
        self.relay = Proxy(stage.sink.port)
        self.wires = (self.mysql, self.redis, self.relay)
        self.http = unused_port()
        self.settings = stage.settings(self)
        self._stage = stage
        self.launcher = launcher or (str(Path(sys.executable).with_name("campaignd")),)
        self._starts = 0
        self.limits: dict[int, int] = {}
        """Resource limits of the process, by their number in `resource`."""
        self.extra_environment: dict[str, str] = {}

    def command(self) -> Sequence[str]:
        self._starts = self._count("started")
        path = self._stage.folder / f"{self.name}.toml"
        self._stage.box.write_config(self.settings, path)
        return [*self.launcher, "--config", str(path), "run"]

    def environment(self) -> Mapping[str, str]:
        return {**os.environ, **self.extra_environment}

    def answers(self) -> bool:
        """It has logged that it started."""
        return self._count("started") > self._starts

    def events(self, name: str | None = None) -> list[Event]:
        """What it has logged so far, over all its lives."""
        return [event for event in _read_events(self.log) if name in (None, event.name)]

    def metrics(self) -> dict[str, float]:
        """Its metrics now, by name with labels; empty while it does not answer."""
        try:
            url = f"http://127.0.0.1:{self.http}/metrics"
            with urllib.request.urlopen(url, timeout=2) as answer:
                text = answer.read().decode()
        except OSError:
            return {}
        return {
            name: float(value)
            for name, value in re.findall(r"^([a-z_]+(?:\{[^}]*\})?) (\S+)$", text, re.MULTILINE)
        }

    def resident(self) -> int:
        """Its memory now, in KiB; 0 if it does not run."""
        try:
            status = Path(f"/proc/{self.pid}/status").read_text()
        except (OSError, SandboxError):
            return 0
        found = re.search(r"VmRSS:\s+(\d+)", status)
        return int(found[1]) if found else 0

    def tell(self, number: signal.Signals) -> None:
        """Sends it a signal."""
        if self._child is not None:
            self._child.signal(number)

    def heal(self) -> None:
        """Clear weather on all its wires."""
        for wire in self.wires:
            wire.heal()

    def _count(self, event: str) -> int:
        return sum(1 for found in _read_events(self.log) if found.name == event)


def _read_events(log: Path) -> Iterator[Event]:
    if not log.is_file():  # /dev/full has no end
        return
    for line in log.read_text("utf-8", "replace").splitlines():
        if line.startswith('{"at"'):
            fields = json.loads(line)
            at = _epoch(fields.pop("at"))
            yield Event(at, fields.pop("event"), fields)


def _epoch(stamp: str) -> float:
    return datetime.fromisoformat(stamp).timestamp()
