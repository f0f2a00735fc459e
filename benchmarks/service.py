"""campaignd as it is installed: the real command, the real daemon as a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

import msgspec
import pymysql
from pymysql.cursors import Cursor

from benchmarks import meter
from benchmarks.errors import BenchmarkError
from benchmarks.receiver import Receiver
from campaignd.config import Config, Daemon, Http, Relay
from campaignd.sandbox.box import Sandbox
from campaignd.sandbox.supervisor import Child, unused_port

_COMMAND: Final = Path(sys.executable).with_name("campaignd")
_COMMAND_TIMEOUT: Final = 600.0  # seconds; enqueueing a million rows takes half a minute
_READY_TIMEOUT: Final = 30.0  # seconds from start to /readyz; it takes about one
_STOP_TIMEOUT: Final = 45.0  # seconds; drain_timeout is 30
_SETTLE_TIMEOUT: Final = 10.0  # seconds for what is in flight to be recorded
_POLL_SECONDS: Final = 0.05  # between two looks at the campaign's row, or at the daemon


class Counts(msgspec.Struct, frozen=True):
    """Of a campaign, as `status --json` has them."""

    total: int
    pending: int
    deferred: int
    accepted: int
    rejected: int
    expired: int
    suppressed: int
    unknown: int

    @property
    def add_up(self) -> bool:
        """R1."""
        return self.total == (
            self.pending
            + self.deferred
            + self.accepted
            + self.rejected
            + self.expired
            + self.suppressed
            + self.unknown
        )


class Status(msgspec.Struct, frozen=True):
    """The part of `status --json` that is used here. Times are epoch seconds."""

    state: str
    counts: Counts
    maybe_duplicates: int
    started_at: float | None = None
    finished_at: float | None = None


class Enqueued(msgspec.Struct, frozen=True, kw_only=True):
    """A campaign that is ready to start, and what it took."""

    campaign: int
    seconds: float
    peak_memory_kib: int


class _Host(NamedTuple):
    """One daemon, as it is to be started."""

    config: Path
    http: int
    log: Path


class Service:
    """A database, `daemons` that send to the same relays, and the command line beside them."""

    def __init__(
        self,
        box: Sandbox,
        relays: Sequence[Relay],
        *,
        daemons: int = 1,
        sections: Mapping[str, Any] | None = None,
    ) -> None:
        """Each daemon has as many connections to each relay as the relay allows. `sections` are
        more of the configuration."""
        self._box = box
        self._sections = sections or {}
        self._database = f"b{relays[0].port}"
        self._socket = str(box.mariadb.socket)
        url = box.create_database(self._database)
        self._hosts = [self._host(url, relays, number) for number in range(1, daemons + 1)]
        self._running: list[Child] = []

    def _host(self, url: str, relays: Sequence[Relay], number: int) -> _Host:
        box, http = self._box, unused_port()
        settings: Config = box.config(
            url,
            relays,
            http=Http(listen=f"127.0.0.1:{http}"),
            daemon=Daemon(name=f"benchmark-{number}"),
            **self._sections,
        )
        stem = box.folder / f"{self._database}-{number}"
        return _Host(
            box.write_config(settings, stem.with_suffix(".toml")), http, stem.with_suffix(".log")
        )

    def __enter__(self) -> Self:
        self.command("migrate")
        for host in self._hosts:
            command = [str(_COMMAND), "--config", str(host.config), "run"]
            self._running.append(self._box.supervisor.spawn(command, host.log, os.environ))
        self._wait(self._ready, _READY_TIMEOUT, "a daemon is not ready")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for daemon in self._running:
            daemon.signal(signal.SIGTERM)
        ended = [daemon.wait(_STOP_TIMEOUT) for daemon in self._running]
        for daemon, status in zip(self._running, ended, strict=True):
            if status is None:
                daemon.signal(signal.SIGKILL)
        self._box.drop_database(self._database)
        if any(ended) and error is None:
            raise BenchmarkError(f"a daemon ended with status {ended}: {self._last_words()}")

    @property
    def pid(self) -> int:
        """The first daemon's."""
        return self._running[0].pid

    @property
    def cpu_seconds(self) -> float:
        """What all daemons have used since their start."""
        return sum(meter.cpu_seconds(daemon.pid) for daemon in self._running)

    @property
    def peak_memory_kib(self) -> int:
        """The most that one daemon ever had."""
        return max(meter.peak_memory_kib(daemon.pid) for daemon in self._running)

    def connect(self) -> pymysql.Connection[Cursor]:
        """A connection of the benchmark's own to the service's database."""
        return pymysql.connect(
            unix_socket=self._socket, user="campaignd", database=self._database, autocommit=True
        )

    @property
    def database_cpu_seconds(self) -> float:
        """What MariaDB has used since its start."""
        return meter.cpu_seconds(self._box.mariadb.pid)

    def enqueue(
        self, campaign: Path, recipients: Path | str, options: Sequence[str] = ("--draft",)
    ) -> Enqueued:
        """Freezes an audience, of a file or of a query, and leaves it as a draft unless `options`
        say otherwise."""
        started = time.monotonic()
        source = "--query" if isinstance(recipients, str) else "--recipients"
        arguments = self._arguments(
            *("enqueue", str(campaign), source, str(recipients), "--json"),
            *options,
        )
        with subprocess.Popen(
            arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            peak = 0
            while process.poll() is None:
                peak = max(peak, meter.peak_memory_kib(process.pid))
                if time.monotonic() - started > _COMMAND_TIMEOUT:
                    process.kill()
                time.sleep(_POLL_SECONDS)
            output, errors = process.communicate()
        if process.returncode:
            raise BenchmarkError(f"campaignd enqueue: {errors.decode().strip()}")
        return Enqueued(
            campaign=int(msgspec.json.decode(output)["id"]),
            seconds=time.monotonic() - started,
            peak_memory_kib=peak,
        )

    def start(self, campaign: int) -> None:
        """Lets the daemon begin."""
        self.command("start", str(campaign))

    def wait_finished(self, campaign: int, timeout: float, look: Callable[[], None]) -> None:
        """Until it is finished. Calls `look` now and then. Raises BenchmarkError after `timeout`
        seconds."""
        with self.connect() as link:

            def finished() -> bool:
                look()
                with link.cursor() as cursor:
                    cursor.execute("SELECT state FROM campaigns WHERE id = %s", (campaign,))
                    row = cursor.fetchone()
                return row is not None and row[0] == "finished"

            self._wait(finished, timeout, f"campaign {campaign} is not finished")

    def wait_for(self, condition: Callable[[], bool], timeout: float, otherwise: str) -> None:
        """Until the condition holds. Raises BenchmarkError, saying `otherwise`, after `timeout`
        seconds, or when a daemon has ended."""
        self._wait(condition, timeout, otherwise)

    def expect_agreement(self, receiver: Receiver) -> None:
        """Raises BenchmarkError unless the ledger comes to say that as many were accepted as the
        receiver has taken, of all campaigns together. To be called when nothing is sent."""

        def agree() -> bool:
            with self.connect() as link, link.cursor() as cursor:
                cursor.execute("SELECT SUM(accepted) FROM shards")
                row = cursor.fetchone()
            return row is not None and int(row[0] or 0) == receiver.messages

        self._wait(agree, _SETTLE_TIMEOUT, "ledger and receiver do not agree")

    def status(self, campaign: int) -> Status:
        """Raises BenchmarkError if its counts do not add up (R1)."""
        output = self.command("status", str(campaign), "--json")
        status = msgspec.json.decode(output, type=Status)
        if not status.counts.add_up:
            raise BenchmarkError(f"the counts do not add up: {status.counts}")
        return status

    def expect_finished(self, campaign: int, accepted: int) -> Status:
        """Raises BenchmarkError unless the ledger says that everyone accepted, once."""
        status = self.status(campaign)
        if (status.state, status.counts.accepted) != ("finished", accepted):
            raise BenchmarkError(f"not all of {accepted} accepted: {status.counts}")
        if status.maybe_duplicates:
            raise BenchmarkError(f"{status.maybe_duplicates} may have been sent twice")
        return status

    def command(self, *arguments: str) -> bytes:
        """Runs campaignd with this service's configuration; what it printed."""
        try:
            return subprocess.run(
                self._arguments(*arguments),
                check=True,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_COMMAND_TIMEOUT,
            ).stdout
        except subprocess.CalledProcessError as error:
            words = error.stderr.decode().strip()
            raise BenchmarkError(f"campaignd {arguments[0]}: {words}") from None

    def _arguments(self, *arguments: str) -> list[str]:
        return [str(_COMMAND), "--config", str(self._hosts[0].config), *arguments]

    def _ready(self) -> bool:
        return all(map(_answers, self._hosts))

    def _wait(self, condition: Callable[[], bool], timeout: float, otherwise: str) -> None:
        deadline = time.monotonic() + timeout
        while not condition():
            if not all(daemon.running for daemon in self._running):
                raise BenchmarkError(f"a daemon ended by itself: {self._last_words()}")
            if time.monotonic() > deadline:
                raise BenchmarkError(f"{otherwise} after {timeout:g} s: {self._last_words()}")
            time.sleep(_POLL_SECONDS)

    def _last_words(self) -> str:
        last = []
        for host in self._hosts:
            lines = host.log.read_text("utf-8", "replace").strip().splitlines()
            last.append(lines[-1] if lines else "it logged nothing")
        return "; ".join(last)


def _answers(host: _Host) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{host.http}/readyz", timeout=1.0) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
