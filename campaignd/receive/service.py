"""The service: listens for mail until a signal says to stop.

MySQL may be away at any time, also at the start: mail is then answered with 451. SIGTERM and
SIGINT let a message that is under way end, and close.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from typing import Final

from campaignd import events
from campaignd.config import Config
from campaignd.errors import ConfigError, StoreOutage, UsageError
from campaignd.feedback import Feedback, Taken, take
from campaignd.health import HealthServer
from campaignd.notify import Notifier
from campaignd.receive.listener import Listener
from campaignd.receive.mailbox import Mailboxes
from campaignd.receive.receiver import Receiver
from campaignd.receive.session import LmtpSession, Session
from campaignd.store import schema
from campaignd.store.bounces import RunLimits
from campaignd.store.db import Database
from campaignd.tokens import load_token_keys

IDLE_SECONDS: Final = 60
"""After this, MySQL closes what a frozen process of ours holds open."""
DRAIN_SECONDS: Final = 10.0
"""How long messages that are under way may take to end."""
LOOK_SECONDS: Final = 5.0
"""Between two looks whether MySQL is there."""


class Service:
    """`campaignd receive`."""

    def __init__(self, config: Config) -> None:
        """Raises UsageError for keys and addresses that cannot be used."""
        settings, domain = config.receive, config.bounces.domain
        if domain is None:
            raise ConfigError("[bounces] domain is missing: it is the domain that mail comes to")
        keys = load_token_keys([config.beside(name) for name in config.links.key_files])
        address = settings.address
        self._settings = settings
        self._domain = domain
        self._db = Database(config.mysql_target(), connections=4, idle_seconds=IDLE_SECONDS)
        self._limits = RunLimits.of(config.bounces)
        boxes = Mailboxes(domain, settings.mailboxes, keys)
        self._receiver = Receiver(boxes, self._record, connections=settings.connections)
        self._notifier = Notifier()
        self._trouble = "starting"
        self._stop = asyncio.Event()
        http = config.http.address
        self._health = HealthServer(http, lambda: self._trouble) if http is not None else None
        self._listener = Listener(config.beside(address) if isinstance(address, str) else address)

    async def run(self) -> bool:
        """Works until a signal; whether every message that was under way came to its end."""
        logging.getLogger("mail.log").disabled = True  # aiosmtpd's own has addresses
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        server = await loop.create_server(self._session, sock=self._listener.socket)
        events.receiving(self._listener.name, self._settings.protocol)
        self._notifier.ready()
        try:
            async with asyncio.TaskGroup() as tasks:
                own = [tasks.create_task(self._feed_watchdog()), tasks.create_task(self._look())]
                if self._health is not None:
                    own.append(tasks.create_task(self._health.run()))
                await self._stop.wait()
                self._notifier.stopping()
                server.close()
                clean = await self._drain()
                for task in own:
                    task.cancel()
        finally:
            self._listener.close()
            await self._db.close()
        events.stopped(clean)
        return clean

    def _session(self) -> Session:
        kind = LmtpSession if self._settings.protocol == "lmtp" else Session
        return kind(
            self._receiver,
            data_size_limit=self._settings.max_octets,
            enable_SMTPUTF8=True,
            hostname=self._domain,
            ident="campaignd",
            timeout=self._settings.timeout,
            loop=asyncio.get_running_loop(),
        )

    async def _record(self, feedback: Feedback) -> Taken:
        return await take(self._db, feedback, time.time(), self._limits)

    async def _drain(self) -> bool:
        deadline = time.monotonic() + DRAIN_SECONDS
        while self._receiver.sessions and time.monotonic() < deadline:
            for session in list(self._receiver.sessions):
                if not session.busy:
                    session.finish()
            await asyncio.sleep(0.05)
        clean = not self._receiver.sessions
        for session in list(self._receiver.sessions):
            session.abort()
        return clean

    async def _look(self) -> None:
        """Keeps up what /readyz and systemd say."""
        while True:
            try:
                await schema.require_current(self._db)
            except (StoreOutage, UsageError) as error:
                self._trouble = str(error)
                self._notifier.status(f"waiting: {error}")
                events.waiting(str(error))
            else:
                self._trouble = ""
                self._notifier.status(f"{len(self._receiver.sessions)} sessions")
            await asyncio.sleep(LOOK_SECONDS)

    async def _feed_watchdog(self) -> None:
        seconds = self._notifier.watchdog_seconds
        while seconds is not None:
            self._notifier.alive()
            await asyncio.sleep(seconds / 3)
