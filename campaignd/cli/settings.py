"""What commands share: the configuration, and the way into MySQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import click

from campaignd.config import Config, find, load
from campaignd.store import schema
from campaignd.store.db import Database


class Settings:
    """What was said before the command; the configuration is read when it is needed."""

    def __init__(self, config: str | None) -> None:
        self._explicit = config

    def load(self) -> Config:
        """Raises ConfigError."""
        return load(find(self._explicit))


pass_settings = click.make_pass_decorator(Settings)

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")

campaign_argument = click.argument("campaign", metavar="ID", type=click.IntRange(1, 2**63 - 1))


@asynccontextmanager
async def store(config: Config, *, connections: int = 2) -> AsyncIterator[Database]:
    """MySQL, with exactly this version's schema.

    Raises UsageError or StoreOutage at once: waiting is for daemons.
    """
    async with Database(config.mysql_target(), connections=connections) as db:
        await schema.require_current(db)
        yield db
