"""Repeats what MySQL did not do, when it is away for a moment or had a deadlock."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from campaignd.errors import StoreOutage

T = TypeVar("T")

PAUSE: Final = 0.4
"""Seconds before the second try; doubled before each further one."""


async def patiently(
    attempt: Callable[[], Awaitable[T]], *, tries: int = 4, repeatable: bool = True
) -> T:
    """What `attempt` returns, which is called `tries` times at the most; the StoreOutage of the
    last. Without `repeatable` an outage that may have come after the commit is raised at once."""
    for tried in range(1, tries):
        try:
            return await attempt()
        except StoreOutage as outage:
            if outage.ambiguous and not repeatable:
                raise
            await asyncio.sleep(PAUSE * 2 ** (tried - 1))
    return await attempt()
