"""The sink as a process of its own, so that client and sink use different cores."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from campaignd.sandbox.auth import Credentials
from campaignd.sandbox.counters import Counters
from campaignd.sandbox.policy import SinkPolicy
from campaignd.sandbox.server import Server
from campaignd.sandbox.sinklog import Accepted, read_log
from campaignd.sandbox.sinkserver import Settings
from campaignd.sandbox.supervisor import Supervisor, unused_port

_numbers = itertools.count(1)


class SinkProcess(Server):
    """A context manager; `host`, `port` and all of `Server` are usable inside.

    It can be killed, frozen and restarted at the same port; what `once` rules have met is then
    forgotten, the log goes on. `certificate` is a PEM file with chain and key. Pass the
    `supervisor` of a sandbox to end together with it; else the sink has its own. Without `log`
    the log lies in the supervisor's folder and ends with it.
    """

    name = "sink"

    def __init__(
        self,
        policy: SinkPolicy | None = None,
        *,
        host: str = "127.0.0.1",
        port: int | None = None,
        log: Path | None = None,
        certificate: Path | None = None,
        implicit_tls: bool = False,
        credentials: Credentials | None = None,
        keep: int = 0,
        keep_for: str | None = None,
        supervisor: Supervisor | None = None,
    ) -> None:
        self._own = supervisor is None
        super().__init__(supervisor or Supervisor())
        self.host = host
        self.port = unused_port() if port is None else port
        label = f"sink-{self.port}-{next(_numbers)}"  # a port may serve again in the same folder
        folder = self._supervisor.folder
        self.log = folder / f"{label}.out"
        self.accepted_log = log or folder / f"{label}.jsonl"
        self._started_at = 0
        self._keep_folder = folder / f"{label}.kept"
        self._counters_file = folder / f"{label}.counters"
        self._settings = Settings(
            policy=policy or SinkPolicy(),
            host=host,
            port=self.port,
            log=str(self.accepted_log.absolute()),
            certificate=None if certificate is None else str(certificate.absolute()),
            implicit_tls=implicit_tls,
            username=None if credentials is None else credentials.username,
            password_file=None if credentials is None else self._write(label, credentials),
            keep=keep,
            keep_for=keep_for,
            keep_folder=str(self._keep_folder),
            counters=str(self._counters_file),
        )

    def __enter__(self) -> Self:
        try:
            self._keep_folder.mkdir()
            self.start()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._close()

    def accepted(self) -> Iterator[Accepted]:
        """What it has acknowledged so far."""
        return read_log(self.accepted_log)

    def kept(self) -> list[bytes]:
        """The contents of the messages that it was asked to keep, in order."""
        files = sorted(self._keep_folder.glob("*.eml"), key=lambda file: int(file.stem))
        return [file.read_bytes() for file in files]

    def counters(self) -> Counters:
        """What it counted; to be called after `stop`, since its last start."""
        return msgspec.json.decode(self._counters_file.read_bytes(), type=Counters)

    def command(self) -> Sequence[str]:
        self._started_at = self.log.stat().st_size if self.log.exists() else 0
        settings = msgspec.json.encode(self._settings).decode()
        return [sys.executable, "-m", "campaignd.sandbox.sinkserver", settings]

    def environment(self) -> Mapping[str, str]:
        return os.environ

    def answers(self) -> bool:
        with self.log.open("rb") as output:
            output.seek(self._started_at)
            return b"listening" in output.read()

    def _close(self) -> None:
        if self._own:
            self._supervisor.close()
        else:
            self.kill()

    def _write(self, label: str, credentials: Credentials) -> str:
        file = self._supervisor.folder / f"{label}.password"
        file.touch(mode=0o600)
        file.write_text(credentials.password + "\n", "utf-8")
        return str(file)
