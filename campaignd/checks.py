"""Finds out what of a set-up works: MySQL, Redis, keys, and every relay up to AUTH.

Each check ends within CHECK_SECONDS, and none changes anything or sends mail.
"""

from __future__ import annotations

import asyncio
import re
from functools import partial
from typing import Final, NamedTuple

from campaignd.config import Config, Dkim, Relay
from campaignd.dkim.keys import load_key
from campaignd.errors import ConfigError, LeaseOutage, RelayOutage, StoreOutage, UsageError
from campaignd.lease import client
from campaignd.lease.peers import Peers
from campaignd.net.connect import Connector, Link
from campaignd.store import schema, server
from campaignd.store.db import Database
from campaignd.wording import plural

CHECK_SECONDS: Final = 15.0
"""For one check. Longer than a slow relay's greeting delay (some wait 5 to 10 s to annoy
spammers), shorter than a person's patience."""

_HINTS: Final = (
    (r"certificate|self.signed|hostname", "mend the relay's certificate, or set tls_ca_file"),
    (r"\b535\b|\b534\b|auth", "check username and password_file"),
    (r"secret file", ""),
    (r"STARTTLS", 'turn TLS on at the relay, or choose another tls than "starttls-required"'),
    (r"TLS|SSL", 'check tls: port 465 wants "implicit", other ports "starttls" or "none"'),
    (r"", "check host and port, and that the relay is up and lets this host in"),
)


class Finding(NamedTuple):
    """The result of one check."""

    what: str
    works: bool
    text: str
    """What is there, or what is wrong and what to change."""
    warning: str = ""
    """What works but should be otherwise."""


async def everything(config: Config) -> list[Finding]:
    """All checks, at the same time."""
    checks = [mysql(config), redis(config), *(relay(config, each) for each in config.relay)]
    found = list(await asyncio.gather(*checks))
    found += map(partial(dkim, config), config.dkim)
    if not config.relay:
        found.append(Finding("relay", False, "none is configured: add a [[relay]]"))
    return found


async def mysql(config: Config) -> Finding:
    """The server, the schema, and whether what is committed stays."""
    try:
        async with Database(config.mysql_target(), connections=1) as db:
            about = await server.about(db)
            await schema.require_current(db)
    except (StoreOutage, UsageError) as error:
        hint = "" if isinstance(error, UsageError) else ": check [mysql] url, and that it runs"
        return Finding("mysql", False, f"{error}{hint}")
    warning = ""
    if about.read_only:
        warning = "it is read-only: nothing can be sent before it takes writes"
    elif not about.durable:
        warning = "set innodb_flush_log_at_trx_commit = 1: a crash may lose what was committed"
    return Finding("mysql", True, f"{about.version}, schema up to date", warning)


async def redis(config: Config) -> Finding:
    """The server, and which daemons are alive."""
    try:
        connection = client.connect(config.redis_target())
        try:
            reports = await Peers(connection).reports()
        finally:
            await connection.aclose()
    except LeaseOutage as error:
        return Finding("redis", False, f"{error}: check [redis] url, and that it runs")
    except UsageError as error:
        return Finding("redis", False, str(error))
    alive = plural(len(reports), "daemon") + " alive"
    names = f" ({', '.join(sorted(reports))})" if reports else ""
    return Finding("redis", True, alive + names)


def dkim(config: Config, settings: Dkim) -> Finding:
    """A key that signs. Whether the DNS has its other half is for `campaignd dns --check`."""
    what = f"dkim {settings.selector}"
    try:
        key = load_key(settings, config.beside(settings.key_file))
    except ConfigError as error:
        return Finding(what, False, str(error))
    return Finding(what, True, f"{key.algorithm}, {key.bits} bits, signs for {key.domain}")


async def relay(config: Config, settings: Relay) -> Finding:
    """TCP, TLS, greeting, EHLO and AUTH, as the daemon does them."""
    what = f"relay {settings.name}"
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            link = await Connector(config, settings, host=config.daemon.host).connect()
    except TimeoutError:
        reason = f"no answer within {CHECK_SECONDS:g} s"
        return Finding(what, False, f"{reason}: {_hint(reason)}")
    except (RelayOutage, ConfigError) as error:
        hint = _hint(str(error))
        return Finding(what, False, f"{error}: {hint}" if hint else str(error))
    encryption = _encryption(link)
    text = f"{settings.host}:{settings.port}, {encryption or 'not encrypted'}"
    if settings.username is not None:
        text += ", logged in"
    offers = [
        name
        for name, offered in (
            ("PIPELINING", link.offered.pipelining),
            ("8BITMIME", link.offered.eight_bit),
            ("SMTPUTF8", link.offered.smtputf8),
        )
        if offered
    ]
    text += f", offers {', '.join(offers) or 'no extension we use'}, {_distance(link.rtt)} away"
    link.transport.write(b"QUIT\r\n")
    link.transport.close()
    warning = ""
    if settings.tls == "starttls" and not encryption:
        warning = "it does not offer STARTTLS: mail goes in clear text"
    elif not settings.tls_verify and encryption:
        warning = "tls_verify is off: anyone may pretend to be this relay"
    return Finding(what, True, text, warning)


def _encryption(link: Link) -> str:
    tls = link.transport.get_extra_info("ssl_object")
    return "" if tls is None else str(tls.version())


def _distance(rtt: float) -> str:
    return "under 0.1 ms" if rtt < 1e-4 else f"{rtt * 1000:.1f} ms"


def _hint(reason: str) -> str:
    return next(hint for pattern, hint in _HINTS if re.search(pattern, reason, re.IGNORECASE))
