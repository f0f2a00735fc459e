from __future__ import annotations

import asyncio

import pytest

from campaignd.pipeline.limit import HostLimit


def test_without_a_rate_nothing_waits() -> None:
    async def main() -> None:
        limit = HostLimit(None)
        assert not limit.limited
        for _ in range(10_000):
            await limit.acquire()

    asyncio.run(main())


@pytest.mark.parametrize("rate", [0.5, 1.0, 40.0, 1_000.0])
def test_a_burst_is_at_most_a_tenth_of_a_second(rate: float) -> None:
    async def main() -> None:
        limit = HostLimit(rate)
        assert limit.limited
        passed = 0
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                while True:
                    await limit.acquire()
                    passed += 1
        # What a slow machine adds to the millisecond is generously allowed for.
        assert passed <= max(1.0, rate / 10) + rate * 0.5

    asyncio.run(main())


def test_the_rate_can_be_changed() -> None:
    async def main() -> None:
        limit = HostLimit(0.01)
        assert await limit.acquire()
        waiting = asyncio.create_task(limit.acquire())
        await asyncio.sleep(0)
        limit.set(None)
        assert not limit.limited
        async with asyncio.timeout(5):
            assert not await waiting, "to look at the limit again"
            assert await limit.acquire()
        limit.set(7.0)
        assert (limit.limited, limit.rate) == (True, 7.0)

    asyncio.run(main())
