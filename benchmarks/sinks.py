"""Receivers that smtp-sink cannot be: slow at the final dot by a fraction of a second, or with
TLS. They are campaignd's own sinks, several processes where one is not enough.
"""

from __future__ import annotations

import shutil
import subprocess
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from benchmarks import meter
from benchmarks.errors import BenchmarkError
from campaignd.config import Relay
from campaignd.sandbox.policy import SinkPolicy
from campaignd.sandbox.sinkprocess import SinkProcess
from campaignd.sandbox.supervisor import Supervisor

_OPENSSL_TIMEOUT: Final = 30.0  # seconds; making a key takes some milliseconds


class Sinks:
    """`processes` sinks with `sessions` between them, each a relay of its own.

    `delay` is the seconds between a final dot and its reply; with a `certificate` (PEM, chain and
    key) they offer STARTTLS and the daemon requires it. A farend.FarEnd.
    """

    def __init__(
        self,
        supervisor: Supervisor,
        sessions: int,
        *,
        processes: int = 1,
        delay: float = 0.0,
        certificate: Path | None = None,
    ) -> None:
        self._sessions = -(-sessions // processes)
        self._certificate = certificate
        self._sinks = [
            SinkProcess(SinkPolicy(delay=delay), supervisor=supervisor, certificate=certificate)
            for _ in range(processes)
        ]
        self.host = self._sinks[0].host
        self.port = self._sinks[0].port
        self._open = ExitStack()
        self._read: dict[int, int] = {}
        self._lines = 0

    def __enter__(self) -> Self:
        with ExitStack() as opening:
            for sink in self._sinks:
                opening.enter_context(sink)
            self._open = opening.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._open.close()
        for sink in self._sinks:
            sink.accepted_log.unlink(missing_ok=True)

    @property
    def cpu_seconds(self) -> float:
        """What all of them have used."""
        return sum(meter.cpu_seconds(sink.pid) for sink in self._sinks)

    @property
    def messages(self) -> int:
        """How many they have taken: lines of their logs."""
        for sink in self._sinks:
            with sink.accepted_log.open("rb") as log:
                log.seek(self._read.get(sink.port, 0))
                news = log.read()
            self._read[sink.port] = self._read.get(sink.port, 0) + len(news)
            self._lines += news.count(b"\n")
        return self._lines

    def relays(self) -> list[Relay]:
        """One for each process."""
        return [
            Relay(
                name=f"sink-{number}",
                host=sink.host,
                port=sink.port,
                tls="none" if self._certificate is None else "starttls-required",
                tls_ca_file=None if self._certificate is None else str(self._certificate),
                connections=self._sessions,
            )
            for number, sink in enumerate(self._sinks, start=1)
        ]

    def expect(self, messages: int) -> None:
        """Raises BenchmarkError unless they took this many, each for another recipient and with
        another Message-ID."""
        recipients: set[str] = set()
        identities: set[str] = set()
        taken = 0
        for sink in self._sinks:
            for accepted in sink.accepted():
                taken += 1
                recipients.add(accepted.recipient)
                identities.add(accepted.message_id)
        if not taken == len(recipients) == len(identities) == messages:
            raise BenchmarkError(
                f"the sinks took {taken} messages to {len(recipients)} recipients with"
                f" {len(identities)} identities, not {messages}"
            )


def make_certificate(folder: Path) -> Path:
    """A certificate for 127.0.0.1 that vouches for itself, and its key (ECDSA P-256), by openssl.

    Raises BenchmarkError if openssl is not there.
    """
    program = shutil.which("openssl")
    if program is None:
        raise BenchmarkError("openssl not found: install with `apt-get install openssl`")
    path, key = folder / "receiver.pem", folder / "receiver.key"
    try:
        subprocess.run(
            [
                *(program, "req", "-x509", "-newkey", "ec", "-pkeyopt"),
                *("ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"),
                *("-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"),
                *("-keyout", str(key), "-out", str(path)),
            ],
            check=True,
            capture_output=True,
            timeout=_OPENSSL_TIMEOUT,
        )
    except subprocess.CalledProcessError as error:
        raise BenchmarkError(f"openssl: {error.stderr.decode().strip()}") from None
    path.write_bytes(path.read_bytes() + key.read_bytes())
    key.unlink()
    return path
