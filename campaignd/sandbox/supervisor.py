"""The parent's side of the reaper: starts processes through it and signals them.

A process is named by its pidfd, so a signal can never hit another one that got its id.
Thread-safe; blocking, for at most the deadlines given.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from campaignd.errors import SandboxError
from campaignd.sandbox import reaper as reaper_script

_ANSWER_TIMEOUT: Final = 10.0  # seconds; a reaper answers in milliseconds
_END_TIMEOUT: Final = 20.0  # seconds for killing all and removing the folder
_FOLDER_LENGTH: Final = 72  # so that a socket's path stays below the 108 octets of sun_path


class Child:
    """One process that the reaper started. `log` has what it wrote."""

    def __init__(self, supervisor: Supervisor, pid: int, log: Path) -> None:
        self._supervisor = supervisor
        self._status: int | None = None
        self._lock = threading.Lock()
        self._pidfd = os.pidfd_open(pid)  # cannot fail: it is a zombie at the least
        self.pid = pid
        self.log = log

    def signal(self, number: signal.Signals) -> None:
        """Does nothing if the process has ended."""
        if self._status is None:
            try:
                signal.pidfd_send_signal(self._pidfd, number)
            except ProcessLookupError:
                pass

    def wait(self, timeout: float) -> int | None:
        """Its exit status (negative: the signal that ended it), or None if it still runs
        after `timeout` seconds."""
        if self._status is None and _readable(self._pidfd, timeout):
            with self._lock:
                if self._status is None:
                    self._status = self._supervisor.reap(self.pid)
        return self._status

    @property
    def running(self) -> bool:
        """Whether it has not ended; true for a stopped process."""
        return self.wait(0) is None

    def forget(self) -> None:
        """To be called when the reaper has ended, and this process with it."""
        with self._lock:
            if self._status is None:
                _readable(self._pidfd, _END_TIMEOUT)
                self._status = -signal.SIGKILL

    def __del__(self) -> None:
        os.close(self._pidfd)


class Supervisor:
    """A reaper process and the folder that it keeps. Close it, or let your process end."""

    def __init__(self) -> None:
        """Raises SandboxError when there is no temporary folder that can be used."""
        self._lock = threading.Lock()
        self._children: list[Child] = []
        self._closed = False
        self._interrupted = False  # an answer is due that nobody will read
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-I",
                    "-S",
                    reaper_script.__file__,
                    str(os.getpid()),
                    str(_temporary_folder()),
                ],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
        ours.settimeout(_ANSWER_TIMEOUT)
        self._socket = ours
        self._stream = ours.makefile("rb")
        self._folder: Path | None = None
        try:
            self._folder = Path(self._read()["folder"])
        except BaseException:
            self.close()
            raise

    @property
    def folder(self) -> Path:
        """Where the processes may keep files; removed in the end."""
        assert self._folder is not None  # noqa: S101  set by the constructor
        return self._folder

    @property
    def reaper_pid(self) -> int:
        """The process that owns the others."""
        return self._process.pid

    def spawn(self, argv: Sequence[str], log: Path, env: Mapping[str, str]) -> Child:
        """Starts a process with no input whose output is appended to `log`.

        Raises SandboxError if it cannot be executed.
        """
        with self._lock:
            answer = self._ask({"spawn": list(argv), "env": dict(env), "log": str(log)})
            if "error" in answer:
                raise SandboxError(f"cannot start {argv[0]}: {answer['error']}")
            child = Child(self, answer["pid"], log)
            self._children.append(child)
            return child

    def reap(self, pid: int) -> int:
        """The exit status of a process that has ended; its id is free afterwards."""
        with self._lock:
            self._children = [child for child in self._children if child.pid != pid]
            return int(self._ask({"reap": pid})["status"])

    def close(self) -> None:
        """Kills all processes and removes the folder. May be called again."""
        if self._closed:
            return
        self._closed = True
        self._stream.close()
        self._socket.close()
        try:
            self._process.wait(_END_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(_END_TIMEOUT)
        for child in self._children:
            child.forget()
        if self._folder is not None:  # the reaper did it, unless it was killed
            shutil.rmtree(self._folder, ignore_errors=True)

    def check_open(self) -> None:
        """Raises SandboxError after `close`, or when a Ctrl-C came between request and answer."""
        if self._closed or self._interrupted:
            raise SandboxError("the sandbox is closed")

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        self.check_open()
        self._interrupted = True
        try:
            self._socket.sendall(json.dumps(request).encode() + b"\n")
        except BrokenPipeError:
            raise SandboxError("the sandbox's reaper has ended") from None
        answer = self._read()
        self._interrupted = False
        return answer

    def _read(self) -> dict[str, Any]:
        try:
            line = self._stream.readline()
        except (TimeoutError, ConnectionResetError):
            line = b""
        if not line:
            raise SandboxError("the sandbox's reaper does not answer")
        answer: dict[str, Any] = json.loads(line)
        return answer


def minimal_environment(folder: Path) -> dict[str, str]:
    """For servers: nothing of the user's settings, no notifications to systemd."""
    return {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(folder), "LC_ALL": "C"}


def unused_port() -> int:
    """A TCP port on 127.0.0.1 that is free, below the range from which the kernel takes ports
    for outgoing connections, so that it is still free when a server comes back."""
    first, last = 15_000, 32_000
    span = last - first
    start = int.from_bytes(os.urandom(4), "big")
    for offset in range(span):
        port = first + (start + offset) % span
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise SandboxError(f"no free TCP port on 127.0.0.1 between {first} and {last}")


def _temporary_folder() -> Path:
    try:
        wanted = Path(tempfile.gettempdir()).absolute()
    except FileNotFoundError:
        raise SandboxError("no temporary folder: set TMPDIR to one that you may write") from None
    folder = wanted if len(os.fsencode(wanted)) <= _FOLDER_LENGTH else Path("/tmp")  # noqa: S108
    if not os.access(folder, os.W_OK | os.X_OK):
        raise SandboxError(f"cannot write to {folder}: set TMPDIR to a folder that you may write")
    return folder


def _readable(fd: int, timeout: float) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(max(0.0, timeout) * 1000))
