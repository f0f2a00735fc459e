"""A running campaign as this host sees it: compiled once, shared by its shard runs."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

import orjson

from campaignd.channels.base import Channel, CompiledCampaign
from campaignd.store import shards
from campaignd.store.db import Database

CACHED: Final = 256
"""Campaigns kept compiled. One takes some 100 KB and its files; compiling takes some 10 ms."""

CACHED_OCTETS: Final = 256_000_000
"""Of the files of those campaigns together, as a campaign may have 14 MB of them."""


@dataclass(slots=True, frozen=True)
class RunningCampaign:
    id: int
    account: str
    started_at: float
    """Epoch seconds."""
    compiled: CompiledCampaign


class CampaignCache:
    """The most recently used campaigns. A campaign's content never changes once it runs."""

    def __init__(self, db: Database, channel: Channel) -> None:
        self._db = db
        self._channel = channel
        self._known: OrderedDict[int, RunningCampaign] = OrderedDict()

    async def get(self, campaign: int) -> RunningCampaign:
        """Raises TemplateError when the stored campaign does not compile with this version."""
        found = self._known.get(campaign)
        if found is None:
            found = await self._load(campaign)
            self._known[campaign] = found
            while len(self._known) > 1 and self._is_full():
                self._known.popitem(last=False)
        self._known.move_to_end(campaign)
        return found

    def _is_full(self) -> bool:
        octets = sum(known.compiled.shared_octets for known in self._known.values())
        return len(self._known) > CACHED or octets > CACHED_OCTETS

    async def _load(self, campaign: int) -> RunningCampaign:
        content = await shards.content(self._db, campaign)
        return RunningCampaign(
            campaign,
            content.account,
            content.started_at,
            self._channel.compile(campaign, content.spec, orjson.loads(content.fields)),
        )
