"""The connection to Redis and its errors. Driver exceptions stop here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, AuthorizationError, RedisError

from campaignd.config import RedisTarget
from campaignd.errors import LeaseOutage, UsageError, connection_was_closed

COMMAND_SECONDS: Final = 2.0
"""How long one exchange may take before Redis counts as away: far above a healthy answer
(under 1 ms), below the smallest useful lease."""

PREFIX: Final = "campaignd:"


def connect(target: RedisTarget) -> Redis:
    """A client that connects on first use and does not retry on its own: leases are a matter of
    time, so the caller has to know at once."""
    return Redis.from_url(
        target.url,
        password=str(target.password) if target.password else None,
        socket_timeout=COMMAND_SECONDS,
        socket_connect_timeout=COMMAND_SECONDS,
        retry=Retry(NoBackoff(), 0),
        decode_responses=True,
    )


@asynccontextmanager
async def reaching() -> AsyncIterator[None]:
    """Around every exchange with Redis: bounds it and translates its errors.

    Raises LeaseOutage for weather, UsageError when Redis refuses our credentials.
    """
    try:
        async with asyncio.timeout(COMMAND_SECONDS):
            yield
    except TimeoutError as error:
        raise LeaseOutage(f"Redis did not answer within {COMMAND_SECONDS:g} s") from error
    except (AuthenticationError, AuthorizationError) as error:
        raise UsageError(f"Redis refuses our credentials: {error}") from error
    except (RedisError, OSError) as error:
        raise LeaseOutage(f"Redis: {error or type(error).__name__}") from error
    except RuntimeError as error:
        if not connection_was_closed(error):
            raise
        raise LeaseOutage("Redis closed the connection") from error
