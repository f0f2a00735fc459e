"""A private Postfix: real software at the other end of a relay, in a folder of its own.

It is the system's program with other folders, ports and settings; the system's own instance and
its files are not touched. The sandbox's reaper starts it, so it ends with the test, however that
ends. Postfix must be started by root, which gives each of its processes only what it needs.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from campaignd.errors import SandboxError
from campaignd.sandbox.binaries import search_path
from campaignd.sandbox.server import Server
from campaignd.sandbox.supervisor import Supervisor, minimal_environment, unused_port
from tests.integration.postfix import settings as texts

_PROBE_TIMEOUT: Final = 1.0  # seconds
_PATIENCE: Final = 30.0  # seconds
_POLL: Final = 0.02  # seconds

Services = Mapping[str, Mapping[str, str]]
"""SMTP servers of one instance: names that only we use, with settings of their own."""

PLAIN: Final[Services] = {"smtp": {}}


class Postfix(Server):
    """`log` has what all its processes log. See `running`."""

    name = "postfix"

    def __init__(
        self, supervisor: Supervisor, services: Services, settings: Mapping[str, str]
    ) -> None:
        super().__init__(supervisor)
        self.folder = supervisor.folder
        self._ports = {name: unused_port() for name in services}
        self._daemons = Path(_postconf("daemon_directory"))
        self._write(services, settings)

    def port(self, service: str = "smtp") -> int:
        """Where one of its SMTP servers listens on 127.0.0.1."""
        return self._ports[service]

    def command(self) -> Sequence[str]:
        # What `postfix start-fg` ends in. That would put a shell in between, which signals miss.
        return [str(self._daemons / "master"), "-c", str(self.folder / "etc"), "-s"]

    def environment(self) -> Mapping[str, str]:
        return {**minimal_environment(self.folder), "TZ": "UTC"}

    def answers(self) -> bool:
        """Its first server listens; all of them do from the same moment on."""
        try:
            port = next(iter(self._ports.values()))
            socket.create_connection(("127.0.0.1", port), _PROBE_TIMEOUT).close()
        except OSError:
            return False
        return True

    def stop(self, timeout: float = _PATIENCE) -> None:
        """As `postfix stop`: sessions are cut wherever they are."""
        super().stop(timeout)
        self._wait_closed()

    def crash(self) -> None:
        """Kills all its processes at one stroke."""
        os.killpg(self.pid, signal.SIGKILL)
        self.kill()
        self._wait_closed()

    @property
    def maildir(self) -> Path:
        """Where all mail goes."""
        return self.folder / "mail" / "all"

    def queued(self) -> int:
        """Messages that it has taken and not delivered yet."""
        return sum(
            _complete(os.path.join(folder, file))
            for name in texts.QUEUES
            for folder, _, files in os.walk(self.folder / "queue" / name)
            for file in files
        )

    def wait_delivered(self) -> None:
        """Until everything that it has taken is in the Maildir."""
        deadline = time.monotonic() + _PATIENCE
        while self.queued():
            assert time.monotonic() < deadline, f"{self.queued()} still queued: {self.log_tail(9)}"
            time.sleep(_POLL)

    def logged(self, words: str) -> list[str]:
        """Lines of the log with these words."""
        return [line for line in self.log.read_text().splitlines() if words in line]

    def _wait_closed(self) -> None:
        """Its servers hold the sockets open until they have ended, too."""
        deadline = time.monotonic() + _PATIENCE
        while self.answers():
            if time.monotonic() > deadline:
                raise self._failure("postfix still answers after it was stopped")
            time.sleep(_POLL)

    def _write(self, services: Services, settings: Mapping[str, str]) -> None:
        self.folder.chmod(0o711)  # Postfix's processes are other users
        owner = pwd.getpwnam(texts.MAIL_USER)
        for path, (user, group, mode) in texts.FOLDERS.items():
            folder = self.folder / path
            folder.mkdir()
            shutil.chown(folder, user, group)
            folder.chmod(mode)
        ports = {self._ports[name]: options for name, options in services.items()}
        ids = (owner.pw_uid, owner.pw_gid)
        for name, text in (
            ("main.cf", texts.main_cf(self.folder, ids, settings)),
            ("master.cf", texts.master_cf(ports)),
            ("mailboxes", texts.MAILBOXES),
        ):
            file = self.folder / "etc" / name
            file.write_text(text)
            file.chmod(0o644)
            # Postfix waits until main.cf is not younger than 2 s, lest somebody is writing it.
            os.utime(file, (0, 0))


@contextmanager
def running(
    services: Services = PLAIN,
    settings: Mapping[str, str] | None = None,
    *,
    prepare: Callable[[Path], None] = lambda _: None,
) -> Iterator[Postfix]:
    """A Postfix that answers on the ports of its services. `settings` are of main.cf; `prepare`
    may put further files into its configuration's folder before it starts.

    Raises SandboxError if it is not installed or does not start.
    """
    supervisor = Supervisor()
    try:
        postfix = Postfix(supervisor, services, settings or {})
        prepare(postfix.folder / "etc")
        postfix.start()
        yield postfix
    finally:
        supervisor.close()


def _complete(file: str) -> bool:
    """Whether a queue file is a whole message: Postfix says so with the mode of the file. Others
    are of sessions under way, or were when it crashed."""
    try:
        return bool(os.stat(file).st_mode & stat.S_IXUSR)
    except FileNotFoundError:
        return False


def _program(name: str) -> str:
    found = shutil.which(name, path=search_path())
    if found is None:
        raise SandboxError(f"{name} not found: install with `apt-get install postfix`")
    return found


def _postconf(parameter: str) -> str:
    """The value that the system's Postfix was built with."""
    command = [_program("postconf"), "-dh", parameter]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=_PATIENCE, check=True
    ).stdout.strip()
