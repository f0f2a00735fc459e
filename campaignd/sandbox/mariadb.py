"""A private MariaDB, as durable as production must be.

Its one account `campaignd` may do everything. On the Unix socket, in a folder that nobody else
can enter, it needs no password; with TCP it has a random one, which is part of the URLs.
"""

from __future__ import annotations

import re
import secrets
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from urllib.parse import quote

import pymysql

from campaignd.errors import SandboxError
from campaignd.sandbox import datadir
from campaignd.sandbox.binaries import Binaries
from campaignd.sandbox.server import Server
from campaignd.sandbox.supervisor import Supervisor, unused_port

_PROBE_TIMEOUT: Final = 1.0  # seconds for the greeting
_STATEMENT_TIMEOUT: Final = 60  # seconds
_PROTOCOL_VERSION: Final = 10  # the fifth octet of a server's greeting


class MariaDB(Server):
    """`buffer_pool_mib` and `redo_log_mib` are in MiB; `options` are further arguments of
    mariadbd, which win over the built-in ones."""

    name = "mariadbd"

    def __init__(
        self,
        supervisor: Supervisor,
        binaries: Binaries,
        *,
        tcp: bool = False,
        buffer_pool_mib: int = 256,
        redo_log_mib: int = 256,
        options: Sequence[str] = (),
    ) -> None:
        super().__init__(supervisor)
        self._binaries = binaries
        self._buffer_pool_mib = buffer_pool_mib
        self._redo_log_mib = redo_log_mib
        self._options = tuple(options)
        self.folder: Path = supervisor.folder / "mysql"
        self.socket: Path = supervisor.folder / "mysql.sock"
        self.port: int | None = unused_port() if tcp else None
        self._password = secrets.token_urlsafe(18) if tcp else ""

    def url(self, database: str) -> str:
        """What `[mysql] url` takes, over TCP if that is on; contains the password then."""
        if self.port is None:
            return f"mysql://campaignd@/{database}?unix_socket={quote(str(self.socket))}"
        return f"mysql://campaignd:{self._password}@127.0.0.1:{self.port}/{database}"

    def create_database(self, name: str) -> str:
        """Creates an empty database and returns its URL. Raises SandboxError if it exists."""
        try:
            self._execute(f"CREATE DATABASE {_checked(name)} CHARACTER SET utf8mb4")
        except pymysql.err.ProgrammingError as error:
            raise SandboxError(f"cannot create database {name}: {error.args[1]}") from None
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Drops it if it exists."""
        self._execute(f"DROP DATABASE IF EXISTS {_checked(name)}")

    def command(self) -> Sequence[str]:
        if not self.folder.exists():
            datadir.create(self.folder, self._binaries, self._supervisor)
        return [
            self._binaries.mariadbd,
            "--no-defaults",
            f"--datadir={self.folder}",
            f"--socket={self.socket}",
            f"--pid-file={self._supervisor.folder / 'mysql.pid'}",
            f"--tmpdir={self._supervisor.folder}",
            f"--init-file={self._write_accounts()}",
            *self._network(),
            *datadir.user_option(),
            "--character-set-server=utf8mb4",
            f"--innodb-buffer-pool-size={self._buffer_pool_mib}M",
            f"--innodb-log-file-size={self._redo_log_mib}M",
            "--innodb-flush-log-at-trx-commit=1",
            "--innodb-buffer-pool-dump-at-shutdown=OFF",
            "--max-allowed-packet=64M",
            "--max-connections=500",
            "--skip-log-bin",
            "--skip-name-resolve",
            *self._options,
        ]

    def answers(self) -> bool:
        """It listens only after it has recovered and created the accounts."""
        try:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.settimeout(_PROBE_TIMEOUT)
                probe.connect(str(self.socket))
                greeting = probe.recv(5, socket.MSG_WAITALL)
        except OSError:
            return False
        return len(greeting) == 5 and greeting[4] == _PROTOCOL_VERSION

    def _network(self) -> list[str]:
        if self.port is None:
            return ["--skip-networking"]
        return ["--bind-address=127.0.0.1", f"--port={self.port}"]

    def _write_accounts(self) -> Path:
        file = self._supervisor.folder / "accounts.sql"
        statements = [
            f"CREATE USER IF NOT EXISTS campaignd@{host} IDENTIFIED BY '{self._password}';\n"
            f"GRANT ALL PRIVILEGES ON *.* TO campaignd@{host} WITH GRANT OPTION;\n"
            for host in ("'localhost'", "'127.0.0.1'")
        ]
        file.touch(mode=0o600)
        file.write_text("".join(statements), "ascii")
        return file

    def _execute(self, statement: str) -> None:
        connection = pymysql.connect(
            unix_socket=str(self.socket),
            user="campaignd",
            password=self._password,
            connect_timeout=_STATEMENT_TIMEOUT,
            read_timeout=_STATEMENT_TIMEOUT,
            write_timeout=_STATEMENT_TIMEOUT,
        )
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)


def _checked(name: str) -> str:
    if re.fullmatch(r"[0-9A-Za-z_]{1,64}", name) is None:
        raise SandboxError(f"{name!r} is no name for a database: use letters, digits and _")
    return f"`{name}`"
