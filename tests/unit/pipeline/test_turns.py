from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from campaignd.pipeline.turns import LEAST_GRANT, Turns


def run(main: Coroutine[Any, Any, None]) -> None:
    asyncio.run(main)


async def settle() -> None:
    """Lets every task run until it waits."""
    for _ in range(5):
        await asyncio.sleep(0)


def test_gives_at_once_what_fits() -> None:
    async def main() -> None:
        turns = Turns(100)
        assert await turns.take("a", 1, 60) == 60
        assert await turns.take("a", 1, 60) == 40
        assert turns.used == 100

    run(main())


def test_gives_no_small_part_of_a_large_turn() -> None:
    async def main() -> None:
        turns = Turns(4 * LEAST_GRANT)
        await turns.take("a", 1, 3 * LEAST_GRANT + 1)
        waiting = asyncio.create_task(turns.take("a", 1, LEAST_GRANT + 20))
        await settle()
        assert not waiting.done()
        turns.release(1)
        assert await waiting == LEAST_GRANT

    run(main())


def test_a_small_capacity_is_given_in_quarters() -> None:
    async def main() -> None:
        turns = Turns(LEAST_GRANT)
        await turns.take("a", 1, LEAST_GRANT)
        waiting = asyncio.create_task(turns.take("a", 1, LEAST_GRANT))
        turns.release(LEAST_GRANT // 4 - 1)
        await settle()
        assert not waiting.done()
        turns.release(1)
        assert await waiting == LEAST_GRANT // 4

    run(main())


def test_goes_round_accounts_then_campaigns_then_the_longest_waiting() -> None:
    async def main() -> None:
        turns = Turns(32)
        await turns.take("first", 0, 32)
        order: list[str] = []

        async def ask(account: str, campaign: int, name: str) -> None:
            await turns.take(account, campaign, 32)
            order.append(name)

        async with asyncio.TaskGroup() as tasks:
            for account, campaign, name in (
                ("big", 1, "big/1 a"),
                ("big", 1, "big/1 b"),
                ("big", 1, "big/1 c"),
                ("big", 2, "big/2 a"),
                ("small", 3, "small/3 a"),
                ("small", 3, "small/3 b"),
            ):
                tasks.create_task(ask(account, campaign, name))
            await settle()
            for _ in range(6):
                turns.release(32)
                await settle()
        assert order == [
            "big/1 a", "small/3 a", "big/2 a", "small/3 b", "big/1 b", "big/1 c",
        ]  # fmt: skip

    run(main())


def test_a_small_request_does_not_overtake() -> None:
    async def main() -> None:
        turns = Turns(100)
        await turns.take("a", 1, 90)
        large = asyncio.create_task(turns.take("a", 1, 50))
        await settle()
        small = asyncio.create_task(turns.take("b", 2, 5))
        await settle()
        assert not large.done()
        assert not small.done()
        turns.release(90)
        assert await large == 50
        assert await small == 5

    run(main())


def test_who_gives_up_waiting_lets_the_next_one_pass() -> None:
    async def main() -> None:
        turns = Turns(100)
        await turns.take("a", 1, 90)
        large = asyncio.create_task(turns.take("a", 1, 50))
        await settle()
        small = asyncio.create_task(turns.take("b", 2, 5))
        await settle()
        large.cancel()
        async with asyncio.timeout(5):
            assert await small == 5
        assert turns.used == 95

    run(main())


def test_a_turn_given_to_who_is_cancelled_at_that_moment_comes_back() -> None:
    async def main() -> None:
        turns = Turns(40)
        await turns.take("a", 1, 40)
        waiting = asyncio.create_task(turns.take("a", 1, 40))
        await settle()
        turns.release(40)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert turns.used == 0

    run(main())


def test_a_larger_capacity_serves_who_waits() -> None:
    async def main() -> None:
        turns = Turns(32)
        await turns.take("a", 1, 32)
        waiting = asyncio.create_task(turns.take("a", 1, 32))
        await settle()
        turns.capacity = 64
        turns.serve()
        assert await waiting == 32

    run(main())


actions = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.integers(0, 3), st.integers(1, 2 * LEAST_GRANT)),
        st.tuples(st.just("give back"), st.integers(0, 9), st.just(0)),
        st.tuples(st.just("cancel"), st.integers(0, 9), st.just(0)),
    ),
    max_size=60,
)


@given(st.integers(1, 6 * LEAST_GRANT), actions)
@settings(max_examples=150)
def test_nothing_leaks_and_nobody_waits_for_nothing(
    capacity: int, steps: list[tuple[str, int, int]]
) -> None:
    async def main() -> None:
        turns = Turns(capacity)
        waiting: list[asyncio.Task[int]] = []
        granted: list[int] = []
        asked: dict[asyncio.Task[int], int] = {}

        async def collect() -> None:
            await settle()
            for task in [task for task in waiting if task.done()]:
                waiting.remove(task)
                if not task.cancelled():
                    assert 1 <= task.result() <= asked[task]
                    granted.append(task.result())
            assert turns.used == sum(granted)
            assert turns.used <= capacity
            assert not waiting or turns.used, "somebody waits although nothing is used"

        for what, number, size in steps:
            if what == "ask":
                task = asyncio.create_task(turns.take(f"account {number % 2}", number, size))
                asked[task] = size
                waiting.append(task)
            elif what == "give back" and granted:
                turns.release(granted.pop(number % len(granted)))
            elif what == "cancel" and waiting:
                waiting[number % len(waiting)].cancel()
            await collect()
        while waiting:
            assert granted
            turns.release(granted.pop())
            await collect()

    run(main())


def test_many_shards_of_one_account_do_not_starve_another() -> None:
    async def main() -> None:
        turns = Turns(64)
        served: Counter[str] = Counter()

        async def work(account: str, campaign: int) -> None:
            while True:
                count = await turns.take(account, campaign, 32)
                served[account] += count
                await asyncio.sleep(0)
                turns.release(count)

        crowd = [asyncio.create_task(work("big", number)) for number in range(50)]
        few = [asyncio.create_task(work("small", 99)) for _ in range(4)]
        for _ in range(500):
            await asyncio.sleep(0)
        for task in (*crowd, *few):
            task.cancel()
        await asyncio.gather(*crowd, *few, return_exceptions=True)
        assert served["small"] >= served["big"] * 0.8

    run(main())
