"""The daemon's end, without the daemon."""

from __future__ import annotations

import asyncio

import pytest

from campaignd import daemon


async def _stubborn(misses: int) -> None:
    """Loses so many cancellations before it heeds one."""
    while True:
        try:
            await asyncio.sleep(3_600)
        except asyncio.CancelledError:
            misses -= 1
            if misses < 0:
                raise


async def _parent(misses: int) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(_stubborn(misses))


@pytest.mark.parametrize("misses", [0, 1, 2])
@pytest.mark.parametrize("work", [_stubborn, _parent])
def test_a_lost_cancellation_delays_the_end_and_no_more(
    work: type, misses: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemon, "RECANCEL_SECONDS", 0.01)

    async def ends() -> None:
        tasks = [asyncio.create_task(work(misses)), asyncio.create_task(_stubborn(0))]
        await asyncio.sleep(0)
        async with asyncio.timeout(10):
            await daemon._end(tasks)
        assert all(task.cancelled() for task in tasks)

    asyncio.run(ends())
