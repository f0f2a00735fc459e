"""The wall clock of the store, which all hosts go by.

When a retry or a shard is due, and when a campaign expires, is decided by several hosts in turn.
Were each to use its own wall clock, one that is wrong by an hour would hold work up for an hour.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from campaignd.store.db import Database
from campaignd.store.sql import clock as sql

SURE_SECONDS: Final = 1.0
"""An answer that took longer says too little about what the time is now."""


class StoreClock:
    """Seconds since the epoch when called. Until the first `ask` it goes by the host's clock; from
    then on no change of that one matters."""

    def __init__(
        self,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._monotonic = monotonic
        self._offset = wall() - monotonic()

    def __call__(self) -> float:
        return self._monotonic() + self._offset

    async def ask(self, db: Database) -> None:
        """Sets the clock. Raises StoreOutage."""
        asked = self._monotonic()
        async with db.statement() as tx:
            row = await tx.one(sql.NOW)
        took = self._monotonic() - asked
        if row is not None and took <= SURE_SECONDS:
            self._offset = float(row[0]) - (asked + took / 2)
