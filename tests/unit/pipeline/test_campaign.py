"""How many compiled campaigns a host keeps."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

from campaignd.pipeline.campaign import CACHED, CACHED_OCTETS, CampaignCache, RunningCampaign


class Cache(CampaignCache):
    def __init__(self, octets: int) -> None:
        super().__init__(cast(Any, None), cast(Any, None))
        self._octets = octets
        self.loaded: list[int] = []

    async def _load(self, campaign: int) -> RunningCampaign:
        self.loaded.append(campaign)
        compiled = cast(Any, SimpleNamespace(shared_octets=self._octets))
        return RunningCampaign(campaign, "acme", 0.0, compiled)


def loaded(octets: int, *wanted: int) -> list[int]:
    cache = Cache(octets)

    async def main() -> None:
        for campaign in wanted:
            assert (await cache.get(campaign)).id == campaign

    asyncio.run(main())
    return cache.loaded


def test_the_least_recently_used_goes_first() -> None:
    everyone = range(CACHED)
    assert loaded(0, *everyone, 0, CACHED, 0, 1) == [*everyone, CACHED, 1]


def test_large_files_count() -> None:
    assert loaded(CACHED_OCTETS // 2, 1, 2, 1, 3, 1, 2) == [1, 2, 3, 2]


def test_one_campaign_is_always_kept() -> None:
    assert loaded(2 * CACHED_OCTETS, 1, 1, 2, 2) == [1, 2]
