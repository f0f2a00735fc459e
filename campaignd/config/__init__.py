"""The configuration file, decoded into typed structs.

Every key, its default and its unit stand in `config.example.toml`. Secrets are read here, from
the files or environment variables that the configuration names, and are never printed: they
live in `Secret`, whose text form hides them.
"""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

import msgspec

from campaignd.config.sections import (
    MAX_PORT,
    Bounces,
    Brakes,
    Daemon,
    Dkim,
    Http,
    Lease,
    Limits,
    Links,
    MySQL,
    Receive,
    Redis,
    Relay,
    Section,
    Timeouts,
    Web,
    Webhook,
)
from campaignd.errors import ConfigError

__all__ = [
    "MAX_PORT",
    "SEARCH_PATH",
    "Bounces",
    "Brakes",
    "Config",
    "Daemon",
    "Dkim",
    "Http",
    "Lease",
    "Limits",
    "Links",
    "MySQL",
    "MySQLTarget",
    "Receive",
    "Redis",
    "RedisTarget",
    "Relay",
    "Secret",
    "Timeouts",
    "Web",
    "Webhook",
    "find",
    "load",
    "parse",
]

SEARCH_PATH: Final = (Path("config.toml"), Path("/etc/campaignd/config.toml"))
"""Where the configuration is looked for after `--config` and `$CAMPAIGND_CONFIG`."""

MAX_URL: Final = 500
"""Characters of a link's base: it stands on one line of a header with a token (RFC 5322, 2.1.1)."""

MAX_BOUNCE_DOMAIN: Final = 200
"""Characters: a return path with a token has to stay within 254 (RFC 5321, 4.5.3.1.3)."""

_HOST: Final = re.compile(r"[^\s\x00-\x1f\x7f]+")
_BASE_URL: Final = re.compile(r"https?://[A-Za-z0-9.-]+(?::[0-9]{1,5})?(?:/[A-Za-z0-9._~-]+)*/?")
_REDIS_QUERY: Final = re.compile(r"(?:db=[0-9]{1,4})?")


class Secret(str):
    """A string that does not show itself in logs, errors or tracebacks."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Secret('***')"


class Config(Section):
    """All of it. `path` is where it was read from; relative file names start there."""

    mysql: MySQL = msgspec.field(default_factory=MySQL)
    redis: Redis = msgspec.field(default_factory=Redis)
    daemon: Daemon = msgspec.field(default_factory=Daemon)
    lease: Lease = msgspec.field(default_factory=Lease)
    relay: list[Relay] = msgspec.field(default_factory=list)
    limits: Limits = msgspec.field(default_factory=Limits)
    http: Http = msgspec.field(default_factory=Http)
    links: Links = msgspec.field(default_factory=Links)
    bounces: Bounces = msgspec.field(default_factory=Bounces)
    dkim: list[Dkim] = msgspec.field(default_factory=list)
    web: Web = msgspec.field(default_factory=Web)
    webhook: list[Webhook] = msgspec.field(default_factory=list)
    receive: Receive = msgspec.field(default_factory=Receive)
    brakes: Brakes = msgspec.field(default_factory=Brakes)
    path: Path | None = None

    def beside(self, name: str) -> Path:
        """A file that the configuration names: environment variables and `~` are expanded, and
        a relative name starts where the configuration file is. Raises ConfigError for what
        cannot be a name, and for the home of a user who does not exist."""
        if not name.isprintable():
            raise ConfigError(f"file {name!r}: use printable characters")
        try:
            path = Path(os.path.expandvars(name)).expanduser()
        except RuntimeError:
            raise ConfigError(f"file {name}: there is no such user") from None
        if not path.is_absolute() and self.path is not None:
            path = self.path.parent / path
        return path

    def secret(self, password_file: str) -> Secret:
        """The first line of a secret's file. Environment variables in the name are expanded,
        so `$CREDENTIALS_DIRECTORY/mysql` works under systemd.

        Raises ConfigError when the file cannot be read or is empty.
        """
        name = self.beside(password_file)
        try:
            text = name.read_text("utf-8")
        except OSError as error:
            raise ConfigError(f"secret file {name}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise ConfigError(f"secret file {name}: it is not UTF-8") from None
        line = text.split("\n", 1)[0].rstrip("\r")
        if not line:
            raise ConfigError(f"secret file {name} is empty: put the password in its first line")
        return Secret(line)

    def mysql_target(self) -> MySQLTarget:
        """Raises ConfigError if the URL or its secret cannot be used."""
        url = _split(self.mysql.url, "[mysql]")
        query = parse_qs(url.query)
        unknown = set(query) - {"unix_socket"}
        database = url.path.lstrip("/")
        if url.scheme != "mysql" or not re.fullmatch(r"[0-9A-Za-z_$-]{1,64}", database) or unknown:
            raise ConfigError(
                "[mysql] url must look like mysql://user@host:3306/database"
                " or mysql://user@/database?unix_socket=/path"
            )
        password = self._password(
            self.mysql.password_file, "CAMPAIGND_MYSQL_PASSWORD", url.password
        )
        return MySQLTarget(
            host=url.hostname or "127.0.0.1",
            port=url.port or 3306,
            unix_socket=query.get("unix_socket", [None])[0],
            user=unquote(url.username or "campaignd"),
            password=password,
            database=database,
        )

    def redis_target(self) -> RedisTarget:
        """Raises ConfigError if the URL or its secret cannot be used."""
        url = _split(self.redis.url, "[redis]")
        if url.scheme not in ("redis", "rediss", "unix") or not _REDIS_QUERY.fullmatch(url.query):
            raise ConfigError(
                "[redis] url must look like redis://host:6379/0 or unix:///path/redis.sock?db=0"
            )
        password = self._password(
            self.redis.password_file, "CAMPAIGND_REDIS_PASSWORD", url.password
        )
        netloc = url.netloc.rpartition("@")[2]
        user = f"{url.username}@" if url.username else ""
        return RedisTarget(
            url.scheme + "://" + user + netloc + url.path + ("?" + url.query if url.query else ""),
            password or None,
        )

    def relay_password(self, relay: Relay) -> Secret | None:
        """The relay's AUTH password, or None when it has no username."""
        if relay.username is None:
            return None
        if relay.password_file is None:
            raise ConfigError(f"relay {relay.name}: username without password_file")
        return self.secret(relay.password_file)

    def _password(self, file: str | None, variable: str, in_url: str | None) -> Secret:
        if file is not None:
            return self.secret(file)
        if variable in os.environ:
            return Secret(os.environ[variable])
        return Secret(unquote(in_url or ""))


class MySQLTarget(msgspec.Struct, frozen=True):
    host: str
    port: int
    unix_socket: str | None
    user: str
    password: Secret
    database: str


class RedisTarget(msgspec.Struct, frozen=True):
    url: str
    """Without its password."""
    password: Secret | None


def find(explicit: str | None) -> Path:
    """The configuration file to use: `explicit`, `$CAMPAIGND_CONFIG`, then SEARCH_PATH.

    Raises ConfigError when there is none.
    """
    named = explicit or os.environ.get("CAMPAIGND_CONFIG")
    if named:
        return Path(named)
    for candidate in SEARCH_PATH:
        if candidate.is_file():
            return candidate
    raise ConfigError(
        "no configuration: use --config FILE or $CAMPAIGND_CONFIG, or put config.toml here"
        " or in /etc/campaignd"
    )


def load(path: Path) -> Config:
    """Reads and checks a configuration file; secrets are not read yet.

    Raises ConfigError with the file and the key that is wrong.
    """
    try:
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not UTF-8") from None
    config = parse(text, str(path))
    config.path = path.absolute()
    return config


def parse(text: str, source: str = "config") -> Config:
    """Decodes and checks TOML text. Raises ConfigError, naming `source` and the key."""
    try:
        raw = tomllib.loads(text)
    except ValueError as error:  # also a number with thousands of digits
        raise ConfigError(f"{source}: {_one_line(error)}") from None
    except RecursionError:
        raise ConfigError(f"{source}: nested too deep") from None
    if "path" in raw:
        raise ConfigError(f"{source}: Object contains unknown field `path`")
    try:
        config = msgspec.convert(raw, Config)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{source}: {_one_line(error)}") from None
    _check(config, source)
    return config


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _check(config: Config, source: str) -> None:
    names = [relay.name for relay in config.relay]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"{source}: two relays are named {name}")
    for relay in config.relay:
        for key, host in (("host", relay.host), ("helo", relay.helo)):
            if host is not None and not _HOST.fullmatch(host):
                raise ConfigError(f"{source}: relay {relay.name}: {key} is not a host name")
        if relay.username is not None and relay.password_file is None:
            raise ConfigError(f"{source}: relay {relay.name}: username without password_file")
        if relay.username is not None and relay.tls in ("none", "starttls"):
            raise ConfigError(
                f'{source}: relay {relay.name}: a password needs tls = "starttls-required"'
                ' or "implicit"'
            )
    try:
        _ = config.http.address
    except ValueError:
        raise ConfigError(f"{source}: [http] listen must look like 127.0.0.1:9464") from None
    try:
        _ = config.web.address
    except ValueError:
        raise ConfigError(f"{source}: [web] listen must look like 127.0.0.1:8025") from None
    try:
        _ = config.receive.address
    except ValueError:
        raise ConfigError(
            f"{source}: [receive] listen must look like 127.0.0.1:8024, or be a path"
        ) from None
    _check_mail(config, source)
    config_urls = Config(mysql=MySQL(url=config.mysql.url), redis=Redis(url=config.redis.url))
    config_urls.mysql_target()
    config_urls.redis_target()


def _check_mail(config: Config, source: str) -> None:
    links = config.links
    if links.url is not None and not _BASE_URL.fullmatch(links.url):
        raise ConfigError(f"{source}: [links] url must look like https://links.example.com")
    if len(links.url or "") > MAX_URL:
        raise ConfigError(f"{source}: [links] url: longer than {MAX_URL} characters")
    if len(config.bounces.domain or "") > MAX_BOUNCE_DOMAIN:
        raise ConfigError(f"{source}: [bounces] domain: longer than {MAX_BOUNCE_DOMAIN} characters")
    if (links.url is not None or config.bounces.domain is not None) and not links.key_files:
        raise ConfigError(f"{source}: [links] key_files: name at least one file with a key")
    selectors: set[tuple[str, str]] = set()
    for key in config.dkim:
        place = (key.selector.lower(), key.domain.lower())
        if place in selectors:
            raise ConfigError(
                f"{source}: two [[dkim]] keys have the selector {key.selector} of {key.domain}:"
                " give each its own"
            )
        selectors.add(place)
    hooks = [hook.name for hook in config.webhook]
    for hook in config.webhook:
        where = f"{source}: webhook {hook.name}"
        if hooks.count(hook.name) > 1:
            raise ConfigError(f"{source}: two webhooks are named {hook.name}")
        if hook.provider == "ses" and not hook.topics:
            raise ConfigError(f"{where}: topics: name the ARN of the SNS topic")
        if hook.provider != "ses" and hook.secret_file is None:
            raise ConfigError(f"{where}: secret_file is missing")


def _split(url: str, section: str) -> SplitResult:
    """The parts of a URL, its port among them. The message has nothing of it: there may be a
    password."""
    try:
        parts = urlsplit(url)
        wrong = parts.netloc.endswith(":") or parts.port == 0
    except ValueError:
        wrong = True
    if wrong:
        raise ConfigError(f"{section} url: its host or its port is malformed")
    return parts
