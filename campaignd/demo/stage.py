"""The demo's servers, daemons and commands, all of which end with it."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import orjson

from campaignd.config import Bounces, Config, Daemon, Links, Receive, Relay, Web
from campaignd.demo import content, keys
from campaignd.demo.content import Audience
from campaignd.errors import UsageError
from campaignd.sandbox.box import Sandbox
from campaignd.sandbox.server import tail
from campaignd.sandbox.sinklog import Accepted
from campaignd.sandbox.sinkprocess import SinkProcess
from campaignd.sandbox.supervisor import Child, unused_port

ACCOUNT: Final = "demo"
CAMPAIGN: Final = "spring.toml"
RECIPIENTS: Final = "recipients.csv"
REJECTS: Final = "rejects.csv"
MESSAGE: Final = "message.eml"
"""What one recipient got."""

LOOPBACK: Final = "127.0.0.1"

CONNECTIONS: Final = 40
"""Sessions of each daemon: enough to keep a sink on one core busy."""

COMMAND_SECONDS: Final = 300.0
"""A command that takes longer hangs: enqueueing a million rows takes half a minute."""

STOP_SECONDS: Final = 20.0
"""For a daemon to give everything back; it has nothing any more."""

START_SECONDS: Final = 20.0
"""For a server to listen."""

_LOOK_SECONDS: Final = 0.05


class Stage:
    """All that runs during the demo. `folder` has its files."""

    def __init__(
        self, box: Sandbox, sink: SinkProcess, config: Config, folder: Path, audience: Audience
    ) -> None:
        self.config = config
        self.folder = folder
        self.audience = audience
        self._box = box
        self._sink = sink
        self._config_file = box.write_config(config, folder / "config.toml")
        self._processes: dict[str, Child] = {}

    def arrived(self) -> Iterator[Accepted]:
        """What the sink has taken so far."""
        return self._sink.accepted()

    def kept(self) -> bytes:
        """The one message that the sink kept whole; empty if it did not come. Also in MESSAGE."""
        message = next(iter(self._sink.kept()), b"")
        (self.folder / MESSAGE).write_bytes(message)
        return message

    def shown(self, *words: str) -> str:
        """A command as a person would type it in the demo's folder."""
        return shlex.join(["campaignd", *words])

    def command(self, *words: str) -> bytes:
        """Runs the real command in the demo's folder; returns what it prints.

        Raises UsageError with its last line if it fails.
        """
        done = subprocess.run(  # noqa: S603
            [*_campaignd(self._config_file), *words],
            cwd=self.folder,
            capture_output=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        if done.returncode:
            said = done.stderr.decode("utf-8", "replace").strip()
            raise UsageError(f"`{self.shown(*words)}` failed: {said or done.returncode}")
        return done.stdout

    def lines(self, *words: str) -> Iterator[dict[str, Any]]:
        """The JSON Lines that a command prints, as they come."""
        with subprocess.Popen(  # noqa: S603
            [*_campaignd(self._config_file), *words], cwd=self.folder, stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None  # noqa: S101  # because of PIPE
            for line in process.stdout:
                yield orjson.loads(line)
        if process.returncode:
            raise UsageError(f"`{self.shown(*words)}` failed")

    def start_daemon(self, name: str) -> None:
        """`campaignd run --name NAME`, as a process."""
        self._start(name, "run", "--name", name)

    def start_server(self, command: str) -> tuple[str, int]:
        """`campaignd web` or `campaignd receive`, as a process; where it listens. Raises UsageError
        if it does not."""
        listen = self.config.web.listen if command == "web" else self.config.receive.listen
        host, _, port = listen.rpartition(":")
        self._start(command, command)
        deadline = time.monotonic() + START_SECONDS
        while not _listens(host, int(port)):
            self.check_processes()
            if time.monotonic() > deadline:
                raise UsageError(f"`{self.shown(command)}` does not listen at {listen}")
            time.sleep(_LOOK_SECONDS)
        return host, int(port)

    def check_processes(self) -> None:
        """Raises UsageError, with its log's end, if a daemon or server has ended."""
        for name, process in self._processes.items():
            if not process.running:
                raise UsageError(f"{name} has ended: {' | '.join(tail(process.log, 3))}")

    def stop_processes(self) -> None:
        """SIGTERM to all. Raises UsageError unless each gave everything back."""
        for process in self._processes.values():
            process.signal(signal.SIGTERM)
        for name, process in self._processes.items():
            status = process.wait(STOP_SECONDS)
            if status != 0:
                end = " | ".join(tail(process.log, 3))
                raise UsageError(f"{name} did not stop cleanly ({status}): {end}")

    def _start(self, name: str, *words: str) -> None:
        argv = [*_campaignd(self._config_file), *words]
        log = self.folder / f"{name}.log"
        self._processes[name] = self._box.supervisor.spawn(argv, log, dict(os.environ))


@contextmanager
def opened(count: int, folder: Path | None = None) -> Iterator[Stage]:
    """Writes the campaign with an audience of `count` and starts the servers. Files go to
    `folder`, or else vanish with the servers. Raises SandboxError."""
    with ExitStack() as stack:
        box = stack.enter_context(Sandbox())
        if folder is None:
            folder = box.folder / "demo"
            folder.mkdir(mode=0o700)
        keys.write_keys(folder)
        content.write_campaign(folder / CAMPAIGN)
        audience = content.write_audience(folder / RECIPIENTS, count)
        sink = stack.enter_context(
            SinkProcess(
                content.POLICY,
                supervisor=box.supervisor,
                log=folder / "sink.jsonl",
                keep=1,
                keep_for=audience.shown,
            )
        )
        relay = Relay(
            name="sink", host=sink.host, port=sink.port, tls="none", connections=CONNECTIONS
        )
        config = box.config(
            box.create_database(),
            [relay],
            daemon=Daemon(drain_timeout=10.0),
            links=Links(url="https://links.acme.example", key_files=[keys.LINKS]),
            bounces=Bounces(domain="bounces.acme.example"),
            dkim=list(keys.DKIM),
            web=Web(listen=f"{LOOPBACK}:{unused_port()}"),
            receive=Receive(listen=f"{LOOPBACK}:{unused_port()}"),
        )
        yield Stage(box, sink, config, folder, audience)


def _campaignd(config: Path) -> Sequence[str]:
    return [sys.executable, "-m", "campaignd", "--config", str(config)]


def _listens(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=1.0).close()
    except OSError:
        return False
    return True
