"""Watches the demo's campaign until it has finished."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from campaignd.demo.stage import Stage
from campaignd.errors import UsageError
from campaignd.lease import client
from campaignd.lease.peers import Peers
from campaignd.model import CampaignState
from campaignd.overview import Question
from campaignd.status import Standing
from campaignd.store.db import Database

LOOK_SECONDS: Final = 0.2

LEAST_SECONDS: Final = 40.0
SLOWEST_RATE: Final = 500
"""The campaign may take LEAST_SECONDS and a second for so many recipients; after that something
is wrong, and the demo says what `status` says."""


async def until_finished(stage: Stage, campaign: int, show: Callable[[Standing], None]) -> Standing:
    """Calls `show` at every look; returns the last. Raises UsageError if it takes too long or a
    daemon ends."""
    deadline = time.monotonic() + LEAST_SECONDS + stage.audience.recipients / SLOWEST_RATE
    redis = client.connect(stage.config.redis_target())
    try:
        async with Database(stage.config.mysql_target(), connections=1) as db:
            while True:
                (standing,) = await Question(campaign).ask(db, Peers(redis))
                show(standing)
                if standing.summary.campaign.state is CampaignState.FINISHED:
                    return standing
                stage.check_processes()
                if time.monotonic() > deadline:
                    raise UsageError(f"the campaign does not finish: {standing.reason}")
                await asyncio.sleep(LOOK_SECONDS)
    finally:
        await redis.aclose()
