"""What the scheduler does with its leases. The rest is the subject of `tests/simulation`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import cast

import pytest

from campaignd.errors import LeaseOutage
from campaignd.lease.keeper import Leases
from campaignd.model import SendRight
from campaignd.pipeline import scheduler
from campaignd.pipeline.campaign import CampaignCache
from campaignd.pipeline.plan import Peer, Shard
from campaignd.pipeline.run import ShardRun, Stages
from campaignd.pipeline.scheduler import Scheduler, peers_from


class FakeLeases:
    """Renews everything but what is `lost`."""

    ttl = 0.03

    def __init__(self) -> None:
        self.asked: list[list[Shard]] = []
        self.lost: set[Shard] = set()
        self.away = False

    async def renew(self, shards: Sequence[Shard]) -> dict[Shard, float | None]:
        await asyncio.sleep(0)
        self.asked.append(list(shards))
        if self.away:
            raise LeaseOutage("Redis is away")
        later = time.monotonic() + 60
        return {shard: None if shard in self.lost else later for shard in shards}


class FakeRun:
    def __init__(self, deadline: float) -> None:
        self.right = SendRight(deadline)
        self.forfeited = False
        self.ended = False

    def right_ended(self) -> None:
        self.ended = True

    def lease_lost(self) -> None:
        self.forfeited = True

    def renewed(self, deadline: float) -> None:
        self.right.deadline = deadline


def keeping(
    leases: FakeLeases, runs: dict[Shard, FakeRun], until: Callable[[], object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Keeps the leases of `runs` until a condition holds."""
    monkeypatch.setattr(scheduler, "TEND_SECONDS", 0.001)

    async def main() -> None:
        keeper = Scheduler(
            cast(Stages, None), cast(Leases, leases), cast(CampaignCache, None), slots=4
        )
        keeper.runs.update(cast(dict[Shard, ShardRun], runs))
        task = asyncio.create_task(keeper._keep_leases())
        async with asyncio.timeout(10):
            while not until() and not task.done():  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())


def test_leases_are_renewed(monkeypatch: pytest.MonkeyPatch) -> None:
    leases, soon = FakeLeases(), time.monotonic() + 30
    runs = {(1, 0): FakeRun(soon), (1, 1): FakeRun(soon)}
    keeping(leases, runs, lambda: len(leases.asked) > 2, monkeypatch)
    assert leases.asked[0] == [(1, 0), (1, 1)]
    assert all(run.right.deadline > soon for run in runs.values())


def test_a_right_that_ran_out_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    leases = FakeLeases()
    leases.away = True
    late, fresh = FakeRun(time.monotonic() - 1), FakeRun(time.monotonic() + 60)
    keeping(leases, {(1, 0): late, (1, 1): fresh}, lambda: len(leases.asked) > 1, monkeypatch)
    assert (late.ended, fresh.ended) == (True, False)


def test_what_another_host_has_is_not_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its last replies may take minutes; meanwhile it must not get a lease that the other host
    gives up, and so keep everybody else from the shard."""
    leases, soon = FakeLeases(), time.monotonic() + 30
    leases.lost.add((1, 0))
    runs = {(1, 0): FakeRun(soon), (1, 1): FakeRun(soon)}
    keeping(leases, runs, lambda: len(leases.asked) > 3, monkeypatch)
    assert runs[1, 0].forfeited
    assert leases.asked[0] == [(1, 0), (1, 1)]
    assert all(asked == [(1, 1)] for asked in leases.asked[1:])


def test_peers_are_those_that_can_work() -> None:
    reports = {
        "me": {"slots": 9, "held": 1},
        "other": {"slots": 4, "held": 1, "shards": {"7": 1}},
        "leaving": {"slots": 4, "held": 4, "draining": True},
        "cut off": {"slots": 4, "held": 0, "trouble": "MySQL is away"},
        "new": {},
    }
    assert peers_from(reports, "me") == [Peer(3, {7: 1}), Peer(0, {})]
