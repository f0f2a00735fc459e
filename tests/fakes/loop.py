"""Runs a test on the loop that the product runs on, and waits for conditions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import uvloop

T = TypeVar("T")

DEADLINE = 10.0
"""Seconds after which a condition counts as never met."""


def run(main: Coroutine[Any, Any, T]) -> T:
    """As asyncio.run, on uvloop; an exception that nobody retrieved fails the test."""
    unhandled: list[dict[str, Any]] = []

    async def watched() -> T:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: unhandled.append(context))
        return await main

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        result = runner.run(watched())
    assert not unhandled, [str(context) for context in unhandled]
    return result


async def until(condition: Callable[[], object], what: str = "") -> None:
    """Waits until the condition holds, at most DEADLINE seconds."""
    loop = asyncio.get_running_loop()
    end = loop.time() + DEADLINE
    while not condition():
        assert loop.time() < end, f"not within {DEADLINE} s: {what or condition}"
        await asyncio.sleep(0.005)
