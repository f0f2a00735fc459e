"""The way of the endpoint into the store, and whether it is open."""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

from campaignd import events
from campaignd.errors import StoreOutage, UsageError
from campaignd.feedback import Feedback, Taken, take
from campaignd.store import schema
from campaignd.store.bounces import RunLimits
from campaignd.store.db import Database

CONNECTIONS: Final = 8
IDLE_SECONDS: Final = 60
"""After this, MySQL closes what a frozen process of ours holds open."""
LOOK_SECONDS: Final = 2.0


class Records(Protocol):
    """What the endpoints need."""

    async def take(self, feedback: Feedback, now: float) -> Taken:
        """Durable when it returns. Raises StoreOutage and UsageError."""


class StoreRecords:
    """In MySQL. `trouble` says why it cannot be used at present, or nothing."""

    def __init__(self, db: Database, limits: RunLimits) -> None:
        self._db = db
        self._limits = limits
        self.trouble = "starting"

    async def take(self, feedback: Feedback, now: float) -> Taken:
        """See Records."""
        return await take(self._db, feedback, now, self._limits)

    async def watch(self) -> None:
        """Looks every LOOK_SECONDS whether MySQL is there and has our schema."""
        while True:
            try:
                await schema.require_current(self._db)
            except (StoreOutage, UsageError) as error:
                self.trouble = str(error)
                events.waiting(str(error))
            else:
                self.trouble = ""
            await asyncio.sleep(LOOK_SECONDS)
