"""`campaignd web` as a whole: the public listener, the internal one, signals.

MySQL may be away, also at the start: pages are shown, and what would have to be recorded is
answered 503.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from campaignd import __version__, events
from campaignd.config import Config, Webhook
from campaignd.errors import ConfigError
from campaignd.health import HealthServer
from campaignd.keyfile import read_key_file
from campaignd.notify import Notifier
from campaignd.store.bounces import RunLimits
from campaignd.store.db import Database
from campaignd.tokens import load_token_keys
from campaignd.web import app
from campaignd.web.clients import Clients
from campaignd.web.listener import Listener
from campaignd.web.pages import Pages
from campaignd.web.records import CONNECTIONS, IDLE_SECONDS, StoreRecords
from campaignd.web.visitors import Visitors
from campaignd.web.webhooks.fetch import fetch
from campaignd.web.webhooks.mailgun import Mailgun
from campaignd.web.webhooks.notice import Provider
from campaignd.web.webhooks.postmark import Postmark
from campaignd.web.webhooks.sendgrid import SendGrid
from campaignd.web.webhooks.ses import Ses
from campaignd.web.webhooks.sns import Topics

ALIVE_SECONDS: Final = 1.0


class WebService:
    """Everything that a mistake in the configuration can break is tried when it is made."""

    def __init__(self, config: Config) -> None:
        """Raises UsageError for a file or an address that cannot be used."""
        if not config.links.key_files:
            raise ConfigError("[links] key_files: name the files with which `run` signs links")
        keys = load_token_keys([config.beside(name) for name in config.links.key_files])
        theme = config.web.theme
        self._db = Database(
            config.mysql_target(), connections=CONNECTIONS, idle_seconds=IDLE_SECONDS
        )
        self._records = StoreRecords(self._db, RunLimits.of(config.bounces))
        site = app.build(
            keys,
            self._records,
            Pages(None if theme is None else config.beside(theme)),
            Visitors(Clients(config.web.trusted_proxies), config.web.requests_per_second),
            providers(config),
            prefix=urlsplit(config.links.url or "").path,
        )
        self._public = Listener(config.web.address, site)
        address = config.http.address
        self._health = None if address is None else HealthServer(address, self._trouble)
        self._notifier = Notifier()

    async def run(self) -> None:
        """Serves until a signal says to stop; a second one stops at once."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        try:
            async with asyncio.TaskGroup() as tasks:
                others = [tasks.create_task(work()) for work in (self._records.watch, self._live)]
                if self._health is not None:
                    others.append(tasks.create_task(self._health.run()))
                events.serving("web", __version__, self._public.port)
                self._notifier.ready()
                await self._public.run()
                for task in others:
                    task.cancel()
        finally:
            await self._db.close()
        events.stopped(clean=True)

    async def _live(self) -> None:
        """Feeds the watchdog, and tells it what is wrong."""
        while True:
            self._notifier.alive()
            self._notifier.status(self._records.trouble or "serving")
            await asyncio.sleep(ALIVE_SECONDS)

    def _trouble(self) -> str:
        return self._records.trouble

    def _stop(self) -> None:
        self._notifier.stopping()
        self._public.stop()


def providers(config: Config) -> Mapping[str, Provider]:
    """By name. Raises ConfigError, naming the webhook."""
    return {hook.name: _provider(config, hook) for hook in config.webhook}


def _provider(config: Config, hook: Webhook) -> Provider:
    file = hook.secret_file
    secret = b"" if file is None else read_key_file(config.beside(file))
    try:
        match hook.provider:
            case "ses":
                return Ses(hook.name, Topics(hook.topics, secret, fetch))
            case "sendgrid":
                return SendGrid(secret)
            case "postmark":
                return Postmark(secret)
            case "mailgun":
                return Mailgun(secret)
    except ConfigError as error:
        where = f"webhook {hook.name}" + ("" if file is None else f", {config.beside(file)}")
        raise ConfigError(f"{where}: {error}") from None
