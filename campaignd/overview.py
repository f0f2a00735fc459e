"""Asks MySQL and Redis where campaigns stand."""

from __future__ import annotations

import time
from typing import NamedTuple

from campaignd.errors import LeaseOutage, UsageError
from campaignd.lease.peers import Peers
from campaignd.model import CampaignState
from campaignd.status import News, Standing, hosts_from, standing
from campaignd.store import campaigns, feedback
from campaignd.store import standing as work
from campaignd.store.db import Database

_HOSTS_MATTER = (CampaignState.RUNNING, CampaignState.SCHEDULED)


async def news(peers: Peers) -> News:
    """What the hosts say of themselves, or why that cannot be known."""
    try:
        return News(hosts_from(await peers.reports()))
    except (LeaseOutage, UsageError) as error:
        return News(silence=str(error))


class Question(NamedTuple):
    """Which campaigns: one, or the newest `limit` that fit."""

    campaign: int | None
    account: str | None = None
    state: CampaignState | None = None
    limit: int = 20

    async def ask(self, db: Database, peers: Peers) -> list[Standing]:
        """Raises UsageError if there is no campaign with this id."""
        ids = await self._ids(db)
        now = time.time()
        left = await work.left(db, ids, now)
        found = await campaigns.counts(db, ids)
        later = await feedback.counts(db, ids)
        asked = any(summary.campaign.state in _HOSTS_MATTER for summary in found.values())
        heard = await news(peers) if asked else News()
        return [
            standing(
                found[number],
                left.get(number, work.NO_WORK),
                heard,
                now,
                later.get(number, feedback.NO_EVENTS),
            )
            for number in ids
            if number in found
        ]

    async def _ids(self, db: Database) -> list[int]:
        if self.campaign is not None:
            return [(await campaigns.get(db, self.campaign)).id]
        listed = await campaigns.page(db, account=self.account, state=self.state, limit=self.limit)
        return [campaign.id for campaign in listed]
