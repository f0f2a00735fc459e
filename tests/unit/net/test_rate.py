"""Permits come in batches that are worth 25 ms."""

from __future__ import annotations

import asyncio
import time

import pytest

from campaignd.net.rate import Rate
from tests.fakes.loop import run, until


@pytest.mark.parametrize(("per_second", "batch"), [(0.5, 1), (40, 1), (400, 10), (100_000, 2_500)])
def test_batches(per_second: float, batch: int) -> None:
    async def main() -> None:
        woken: list[int] = []
        rate = Rate(per_second, lambda: woken.append(rate.permits))
        task = asyncio.create_task(rate.run())
        await until(lambda: woken)
        assert woken == [batch]
        await asyncio.sleep(0.06)  # unused permits do not add up
        assert woken == [batch]
        assert rate.permits == batch
        task.cancel()

    run(main())


def test_used_up_permits_come_again_no_faster_than_the_rate() -> None:
    async def main() -> None:
        taken = 0

        def granted() -> None:
            nonlocal taken
            while rate.permits > 0:
                rate.take()
                taken += 1

        rate = Rate(200, granted)
        start = time.monotonic()
        task = asyncio.create_task(rate.run())
        while taken < 40:
            await asyncio.sleep(0.001)
            assert taken <= 200 * (time.monotonic() - start + 0.05)
        task.cancel()

    run(main())
