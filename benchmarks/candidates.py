"""What takes part in a measurement."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Final, Protocol

import msgspec

from benchmarks import material, meter
from benchmarks.errors import BenchmarkError
from benchmarks.farend import FarEnd
from benchmarks.figures import Reading
from benchmarks.material import Material
from benchmarks.peers.order import Order
from benchmarks.receiver import program

RUN_TIMEOUT: Final = 600.0
"""Seconds for one run; those of the default count take a few."""

SMTPLIB_THREADS: Final = 4
"""With which it was fastest on two cores, of 1, 2, 4, 8 and 16."""

_SAMPLE_SECONDS: Final = 0.02


class Candidate(Protocol):
    """A sender. `name` is what the table shows."""

    name: str

    def run(self, receiver: FarEnd, count: int) -> Reading:
        """Sends `count` messages and returns when all are answered.

        Raises BenchmarkError if it fails.
        """


class SmtpSource:
    """Postfix's own load generator, in C: parallel sessions, many messages each, in lockstep."""

    name = "smtp-source"

    def __init__(self, folder: Path, message: Material, sessions: int) -> None:
        """Raises BenchmarkError if Postfix is not installed."""
        self._program = program("smtp-source")
        self._sessions = sessions
        self._message = folder / "smtp-source.eml"
        lines = message.message.removesuffix(b".\r\n").replace(b"\r\n", b"\n")
        self._message.write_bytes(lines)

    def run(self, receiver: FarEnd, count: int) -> Reading:
        """It takes the message as a file of lines, and makes recipients up by number."""
        command = [
            *(self._program, "-d", "-N", "-F", str(self._message)),
            *("-s", str(min(self._sessions, count)), "-m", str(count)),
            *("-f", material.SENDER, "-t", "@customer.example"),
            f"{receiver.host}:{receiver.port}",
        ]
        started = time.monotonic()
        with subprocess.Popen(command, stdin=subprocess.DEVNULL) as process:
            try:
                peak = 0
                while True:
                    peak = max(peak, meter.peak_memory_kib(process.pid))
                    pid, status, usage = os.wait4(process.pid, os.WNOHANG)
                    if pid:
                        break
                    if time.monotonic() - started > RUN_TIMEOUT:
                        raise BenchmarkError(f"smtp-source runs for {RUN_TIMEOUT:g} s already")
                    time.sleep(_SAMPLE_SECONDS)
                seconds = time.monotonic() - started
                process.returncode = os.waitstatus_to_exitcode(status)
            finally:
                if process.returncode is None:
                    process.kill()
        if process.returncode:
            raise BenchmarkError(f"smtp-source ended with status {process.returncode}")
        return Reading(
            messages=count,
            seconds=seconds,
            cpu_seconds=usage.ru_utime + usage.ru_stime,
            peak_memory_kib=peak,
        )


class Loop:
    """A sender in Python that is a process of its own, `benchmarks.peers.<module>`, and only
    sends."""

    def __init__(
        self, name: str, module: str, folder: Path, message: Material, sessions: int
    ) -> None:
        self.name = name
        self._module = f"benchmarks.peers.{module}"
        self._sessions = sessions
        self._message = folder / f"{module}.eml"
        self._message.write_bytes(message.message.removesuffix(b".\r\n"))

    def run(self, receiver: FarEnd, count: int) -> Reading:
        """Its readings are its own: the interpreter's start does not count."""
        order = Order(
            host=receiver.host,
            port=receiver.port,
            sessions=min(self._sessions, count),
            count=count,
            sender=material.SENDER,
            message_file=str(self._message),
        )
        try:
            answer = subprocess.run(
                [sys.executable, "-m", self._module, msgspec.json.encode(order).decode()],
                check=True,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                timeout=RUN_TIMEOUT,
            )
        except subprocess.SubprocessError as error:
            raise BenchmarkError(f"the {self.name} loop failed: {error}") from None
        return msgspec.json.decode(answer.stdout, type=Reading)


def aiosmtplib_loop(folder: Path, message: Material, sessions: int) -> Loop:
    """aiosmtplib's `sendmail` on uvloop, one process, as many sessions."""
    return Loop("aiosmtplib", "aiosmtplib_loop", folder, message, sessions)


def smtplib_loop(folder: Path, message: Material) -> Loop:
    """smtplib's `sendmail`, one process. A few threads, each with its session: more of them only
    fight for the interpreter's lock."""
    return Loop("smtplib", "smtplib_loop", folder, message, SMTPLIB_THREADS)
