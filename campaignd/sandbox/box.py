"""MariaDB and Redis together, as one context manager."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from campaignd.config import Config, Http, MySQL, Redis, Relay
from campaignd.errors import SandboxError
from campaignd.sandbox import binaries
from campaignd.sandbox.mariadb import MariaDB
from campaignd.sandbox.redis import RedisServer
from campaignd.sandbox.supervisor import Supervisor


class Sandbox:
    """Private MariaDB and Redis servers, running within the `with` block.

    With `tcp` they listen on 127.0.0.1 too, and their URLs name those ports. Nothing of them
    is left when the block or the process ends, in whatever way.
    """

    def __init__(
        self,
        *,
        tcp: bool = False,
        buffer_pool_mib: int = 256,
        mariadb_options: Sequence[str] = (),
        redis_options: Sequence[str] = (),
    ) -> None:
        """Raises SandboxError if a program is missing. Starts nothing yet."""
        self._binaries = binaries.find()
        self._tcp = tcp
        self._buffer_pool_mib = buffer_pool_mib
        self._mariadb_options = mariadb_options
        self._redis_options = redis_options
        self._supervisor: Supervisor | None = None

    mariadb: MariaDB
    redis: RedisServer

    @property
    def supervisor(self) -> Supervisor:
        """For further processes that shall end with the sandbox."""
        if self._supervisor is None:
            raise SandboxError("the sandbox is not started")
        return self._supervisor

    @property
    def folder(self) -> Path:
        """The folder of everything here; open to this user only, removed in the end."""
        return self.supervisor.folder

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def start(self) -> None:
        """Starts both servers and waits for them. Raises SandboxError, leaving nothing."""
        self._supervisor = supervisor = Supervisor()
        try:
            self.redis = RedisServer(
                supervisor, self._binaries, tcp=self._tcp, options=self._redis_options
            )
            self.mariadb = MariaDB(
                supervisor,
                self._binaries,
                tcp=self._tcp,
                buffer_pool_mib=self._buffer_pool_mib,
                options=self._mariadb_options,
            )
            self.redis.launch()
            self.mariadb.launch()
            self.redis.wait_ready()
            self.mariadb.wait_ready()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Ends everything and removes the folder. May be called again."""
        if self._supervisor is not None:
            self._supervisor.close()

    def create_database(self, name: str = "campaignd") -> str:
        """Creates an empty database; returns its URL for `[mysql] url`."""
        return self.mariadb.create_database(name)

    def drop_database(self, name: str) -> None:
        """Drops it if it exists."""
        self.mariadb.drop_database(name)

    def config(self, database: str, relays: Iterable[Relay] = (), **sections: Any) -> Config:
        """A configuration for these servers.

        `database` is a URL from `create_database`; `sections` are further sections, such as
        `lease=Lease(ttl=2)`. The HTTP listener is off unless `http` says otherwise.
        """
        return Config(
            mysql=MySQL(url=database),
            redis=Redis(url=self.redis.url),
            relay=list(relays),
            **{"http": Http(listen=None), **sections},
        )

    def write_config(self, settings: Config, path: Path | None = None) -> Path:
        """Writes a configuration as TOML, for this user's eyes only, to `path` (by default
        `config.toml` in the sandbox's folder), and returns the path."""
        target = path or self.folder / "config.toml"
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(to_toml(settings))
        return target


def to_toml(settings: Config) -> str:
    """The text that `config.parse` reads back as an equal configuration."""
    built = msgspec.to_builtins(settings)
    built.pop("path")
    built["http"]["listen"] = built["http"]["listen"] or ""  # TOML has no null
    lines: list[str] = []
    for name, section in built.items():
        if not isinstance(section, list):
            lines += _table(f"[{name}]", section)
            continue
        for item in section:
            timeouts = item.pop("timeouts", None)
            lines += _table(f"[[{name}]]", item)
            if timeouts is not None:
                lines += _table(f"[{name}.timeouts]", timeouts)
    return "\n".join(lines) + "\n"


def _table(header: str, values: Mapping[str, Any]) -> list[str]:
    entries = [f"{key} = {_value(value)}" for key, value in values.items() if value is not None]
    return [header, *entries, ""]


def _value(value: str | float | bool | list[str]) -> str:
    if isinstance(value, str):  # JSON's escapes are TOML's, but for DEL
        return re.sub("\x7f", r"\\u007f", msgspec.json.encode(value).decode())
    return msgspec.json.encode(value).decode()
