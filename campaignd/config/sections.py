"""The sections of the configuration file. Units and defaults are told in `config.example.toml`."""

from __future__ import annotations

import re
import socket
from typing import Annotated, Final, Literal

import msgspec

MAX_PORT: Final = 65_535

Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]
Count = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
Port = Annotated[int, msgspec.Meta(ge=1, le=MAX_PORT)]
Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}\Z")]
Tls = Literal["none", "starttls", "starttls-required", "implicit"]
Domain = Annotated[
    str,
    msgspec.Meta(
        max_length=253,
        pattern=r"^[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,62})(?:\.[A-Za-z0-9_][A-Za-z0-9_-]{0,62})*\Z",
    ),
]
LocalPart = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}\Z")]
Share = Annotated[float, msgspec.Meta(gt=0, le=1)]


class Section(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A table of the file; a key that it does not have is an error."""


def host_and_port(listen: str) -> tuple[str, int]:
    """Where to listen: HOST:PORT, and brackets around an IPv6 address. Raises ValueError."""
    host, _, port = listen.rpartition(":")
    if not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > MAX_PORT:
        raise ValueError(f"{port!r} is not a port")
    return host.strip("[]"), int(port)


class MySQL(Section):
    """Where the store is. The password comes from `password_file`, else from the environment
    variable `CAMPAIGND_MYSQL_PASSWORD`, else from the URL."""

    url: str = "mysql://campaignd@127.0.0.1:3306/campaignd"
    password_file: str | None = None


class Redis(Section):
    """Where leases and wake-ups are. The password comes from `password_file`, else from the
    environment variable `CAMPAIGND_REDIS_PASSWORD`, else from the URL."""

    url: str = "redis://127.0.0.1:6379/0"
    password_file: str | None = None


class Daemon(Section):
    name: Name | None = None
    max_shards: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 16
    drain_timeout: Seconds = 30.0

    @property
    def host(self) -> str:
        """The name that leases, heartbeats and the ledger show for this daemon."""
        return self.name or re.sub(r"[^A-Za-z0-9._@-]", "-", socket.gethostname())[:64]


class Lease(Section):
    ttl: Annotated[float, msgspec.Meta(ge=1, le=600)] = 10.0


class Timeouts(Section):
    """Deadlines of one session's phases, in seconds. The defaults follow RFC 5321, 4.5.3.2,
    but for `connect`, which a sender with other relays at hand wants shorter."""

    connect: Seconds = 30.0
    greeting: Seconds = 300.0
    mail: Seconds = 300.0
    rcpt: Seconds = 300.0
    data: Seconds = 120.0
    body: Seconds = 180.0
    final_dot: Seconds = 600.0
    idle: Seconds = 10.0


class Relay(Section):
    name: Name
    host: str
    port: Port = 25
    tls: Tls = "starttls"
    tls_ca_file: str | None = None
    tls_verify: bool = True
    username: str | None = None
    password_file: str | None = None
    connections: Annotated[int, msgspec.Meta(ge=1, le=20_000)] = 200
    weight: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 1
    messages_per_connection: Count = 10_000
    seconds_per_connection: Seconds = 3_600.0
    messages_per_second: Annotated[float, msgspec.Meta(gt=0, le=1_000_000)] | None = None
    pipelining: bool = True
    helo: str | None = None
    timeouts: Timeouts = msgspec.field(default_factory=Timeouts)


class Limits(Section):
    messages_per_second: Annotated[float, msgspec.Meta(gt=0, le=1_000_000)] | None = None


class Http(Section):
    listen: str | None = "127.0.0.1:9464"

    @property
    def address(self) -> tuple[str, int] | None:
        """Host and port to listen on, or None when the server is off. Raises ValueError."""
        if self.listen is None or self.listen == "":
            return None
        return host_and_port(self.listen)


class Links(Section):
    """The links in messages that lead back to us: one-click unsubscribe (RFC 8058)."""

    url: str | None = None
    """Where `campaignd web` is reached from outside; None for no such links."""
    key_files: list[str] = []
    """The first key signs tokens, all are good for checking them (see `tokens`)."""


class Bounces(Section):
    """Mail that comes back to us, and what follows from it."""

    domain: Domain | None = None
    """Where `campaignd receive` gets mail: return paths and mailto unsubscribes with tokens."""
    soft_failures: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 5
    soft_days: Annotated[float, msgspec.Meta(ge=0, le=365)] = 7.0
    """An address is suppressed after `soft_failures` failed campaigns, the first and the last
    of them at least `soft_days` apart, with nothing accepted in between."""


class Dkim(Section):
    """A key that signs for a domain (RFC 6376), of one account or of all."""

    domain: Domain
    selector: Domain
    key_file: str
    account: Name | None = None


class Web(Section):
    """The endpoint for unsubscribes and providers' webhooks (`campaignd web`)."""

    listen: str = "127.0.0.1:8025"
    trusted_proxies: list[str] = []
    """Addresses or networks whose X-Forwarded-For is believed."""
    requests_per_second: Annotated[float, msgspec.Meta(gt=0, le=100_000)] = 5.0
    """With one token, or of one client without a good one; more is answered 429."""
    theme: str | None = None
    """A folder with a page.html that replaces the built-in one."""

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to listen on. Raises ValueError."""
        return host_and_port(self.listen)


class Webhook(Section):
    """A provider's notices of bounces and complaints, at /webhooks/NAME of `campaignd web`."""

    name: Name
    provider: Literal["ses", "sendgrid", "postmark", "mailgun"]
    secret_file: str | None = None
    """The provider's signing key or public key, or USER:PASSWORD for Postmark. SES needs none: its
    certificate is fetched from Amazon, unless this PEM file has it."""
    topics: list[str] = []
    """Of SES: the ARNs of the SNS topics that are believed."""


class Receive(Section):
    """The server for bounces, complaints and unsubscribes by mail (`campaignd receive`)."""

    listen: str = "127.0.0.1:8024"
    """HOST:PORT, or the path of a Unix socket."""
    protocol: Literal["lmtp", "smtp"] = "lmtp"
    mailboxes: list[LocalPart] = msgspec.field(default_factory=lambda: ["complaints"])
    """Local parts that take reports which name their recipient themselves: complaints, and bounces
    that were sent to the wrong address."""
    max_octets: Annotated[int, msgspec.Meta(ge=10_000, le=100_000_000)] = 50_000_000
    """Only the first million are kept and read, as what a report says stands in front."""
    connections: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 50
    timeout: Seconds = 300.0
    """For a command, or a whole message (RFC 5321, 4.5.3.2.7)."""

    @property
    def address(self) -> tuple[str, int] | str:
        """Host and port to listen on, or the path of a Unix socket. Raises ValueError."""
        return self.listen if "/" in self.listen else host_and_port(self.listen)


class Brakes(Section):
    """When a campaign pauses itself: shares of its recent attempts, 0 to 1; 1 for never."""

    window: Seconds = 300.0
    sample: Count = 500
    """Attempts in the window below which nothing is concluded."""
    rejected: Share = 0.2
    complained: Share = 0.003
    authentication: Share = 0.05
