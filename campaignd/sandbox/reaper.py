"""The process that owns the private servers of one parent and outlives nothing.

It runs as a script of its own (`python -I -S reaper.py PARENT_PID TEMPORARY_FOLDER`), in its
own session so that a Ctrl-C on the terminal does not reach it, with one end of a socket pair
as standard input. It makes a folder, starts processes when its parent asks for that, and when
the parent closes the socket or ends in any way (`kill -9` too), kills them all and removes the
folder. If it is killed itself, the kernel kills the servers (PR_SET_PDEATHSIG), and the parent
or the next reaper removes the folder.

Requests and answers are lines of JSON, one answer to each request:
  `{"spawn": argv, "env": {...}, "log": path}`  ->  `{"pid": n}` or `{"error": text}`
  `{"reap": pid}`, once that process has ended  ->  `{"status": code}`
A process that has ended stays a zombie until it is reaped, so its id names no other process
while the parent may still use it.

Uses nothing but the standard library, so that it starts fast and under any interpreter.
"""

import ctypes
import fcntl
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

PREFIX = "campaignd-"
"""How the name of a sandbox's folder starts."""
LOCK = ".reaper"
"""The file within it that its reaper holds locked."""
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def make_folder(parent: Path) -> tuple[Path, int]:
    """A new folder that only this user may enter, and the descriptor that keeps it locked."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # a sweep took it for an abandoned one
            os.close(lock)
            continue
        return folder, lock


def sweep(parent: Path) -> None:
    """Removes the folders whose reapers were killed together with their parents."""
    for lock_file in parent.glob(f"{PREFIX}*/{LOCK}"):
        try:
            if lock_file.parent.stat().st_uid != os.geteuid():
                continue
            lock = os.open(lock_file, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(lock_file.parent, ignore_errors=True)
        except BlockingIOError:
            pass
        finally:
            os.close(lock)


class Reaper:
    """Starts, reaps and in the end kills the processes of one parent."""

    def __init__(self) -> None:
        self._children: dict[int, subprocess.Popen[bytes]] = {}
        libc = ctypes.CDLL(None, use_errno=True)
        _adopt_orphans(libc)
        self._in_child = _in_child(libc)

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Carries out one request."""
        if "spawn" in request:
            try:
                return {"pid": self._spawn(request["spawn"], request["env"], request["log"])}
            except (OSError, subprocess.SubprocessError) as error:
                return {"error": str(error)}
        return {"status": self._children.pop(request["reap"]).wait()}

    def _spawn(self, argv: list[str], env: dict[str, str], log: str) -> int:
        with Path(log).open("ab") as output:
            child = subprocess.Popen(
                argv,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # a process group of its own, and no Ctrl-C
                preexec_fn=self._in_child,  # safe: this process has one thread
            )
        self._children[child.pid] = child
        return child.pid

    def kill_all(self) -> None:
        """Kills all that is left, stopped processes and orphans of our processes too."""
        for pid in self._children:
            try:
                os.killpg(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        while True:
            for pid in _own_children():
                os.kill(pid, signal.SIGKILL)
            try:
                os.waitpid(-1, 0)
            except ChildProcessError:
                return


def _adopt_orphans(libc: ctypes.CDLL) -> None:
    """What a server's start script leaves behind becomes our child, so that we can end it."""
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _own_children() -> list[int]:
    me = os.getpid()
    try:
        return [int(pid) for pid in Path(f"/proc/{me}/task/{me}/children").read_text().split()]
    except OSError:  # a kernel without that file
        return []


def _in_child(libc: ctypes.CDLL) -> Callable[[], None]:
    """What a new process does before it becomes the server."""
    reaper = os.getpid()

    def prepare() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != reaper:  # it ended before the call
            os._exit(1)
        for ignored_by_reaper in (signal.SIGINT, signal.SIGHUP):
            signal.signal(ignored_by_reaper, signal.SIG_DFL)

    return prepare


def serve(parent: int, control: socket.socket, folder: Path) -> None:
    """Answers requests until the parent closes its end, or ends."""
    try:
        parent_end = os.pidfd_open(parent)
    except ProcessLookupError:
        return
    if os.getppid() != parent:
        return
    reaper = Reaper()
    poll = select.poll()
    poll.register(control, select.POLLIN)
    # End of file is not enough: a process that the parent forked may hold the socket open.
    poll.register(parent_end, select.POLLIN)
    try:
        with control.makefile("rwb", buffering=0) as stream:
            stream.write(_line({"folder": str(folder)}))
            while all(fd != parent_end for fd, _ in poll.poll()):
                request = stream.readline()
                if not request:
                    break
                stream.write(_line(reaper.answer(json.loads(request))))
    except (BrokenPipeError, ConnectionResetError):
        pass
    finally:
        reaper.kill_all()


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value).encode() + b"\n"


def _end(signum: int, _frame: object) -> None:
    signal.signal(signum, signal.SIG_IGN)  # once is enough, and must not break the cleaning up
    sys.exit(0)


def main() -> None:
    """Reads the arguments named above and serves."""
    parent, temporary = int(sys.argv[1]), Path(sys.argv[2])
    os.chdir("/")
    os.umask(0o077)
    for ignored in (signal.SIGINT, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end)
    sweep(temporary)
    folder, lock = make_folder(temporary)
    try:
        serve(parent, socket.socket(fileno=0), folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


if __name__ == "__main__":
    main()
