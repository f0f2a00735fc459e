"""The way of commands into MySQL and Redis. They fail at once: waiting is for daemons."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from campaignd.config import Config
from campaignd.errors import LeaseOutage, UsageError
from campaignd.lease import client
from campaignd.lease.peers import Peers
from campaignd.store import schema
from campaignd.store.db import Database


@asynccontextmanager
async def store(config: Config, *, connections: int = 2) -> AsyncIterator[Database]:
    """MySQL, with exactly this version's schema. Raises UsageError or StoreOutage."""
    async with Database(config.mysql_target(), connections=connections) as db:
        await schema.require_current(db)
        yield db


@asynccontextmanager
async def peers(config: Config) -> AsyncIterator[Peers]:
    """Redis. Nothing is asked of it yet."""
    redis = client.connect(config.redis_target())
    try:
        yield Peers(redis)
    finally:
        await redis.aclose()


async def wake(config: Config, campaign: int) -> str:
    """Makes hosts look at a campaign at once; says why not if that is impossible, in which case
    they find out by themselves within a second or so."""
    try:
        async with peers(config) as hosts:
            await hosts.wake(campaign)
    except (LeaseOutage, UsageError) as error:
        return str(error)
    return ""
