"""The signing stage, over threads of its own."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import pytest

from campaignd.model import Job, SendRight
from campaignd.pipeline.queue import JobQueue
from campaignd.pipeline.signing import AHEAD, BATCH, Signing


class Owner:
    def __init__(self) -> None:
        self.stopped = False
        self.returned: list[Job] = []

    def give_back(self, job: Job) -> None:
        self.returned.append(job)

    def right_ended(self) -> None:
        raise AssertionError

    def outdated(self, job: Job) -> None:
        raise AssertionError


class Bench:
    """The stage; `gate` lets threads go on, `threads` are those that signed."""

    def __init__(self, threads: int) -> None:
        self.queue = JobQueue()
        self.owner = Owner()
        self.woken = 0
        self.gate = threading.Event()
        self.begun = 0
        self.threads: set[int] = set()
        self.signing = Signing(self.queue, self._wake, threads=threads)

    def _wake(self) -> None:
        self.woken += 1

    def sign(self, message: bytes, tail: bytes, now: int) -> bytes:
        self.begun += 1
        self.threads.add(threading.get_ident())
        assert self.gate.wait(10)
        return b"signed %b%b" % (message, tail)

    def put(self, count: int, owner: Owner | None = None) -> None:
        for number in range(1, count + 1):
            job = Job(
                owner or self.owner, SendRight(0.0), number, 1, False, b"", b"", b"%d" % number,
                sign=self.sign, tail=b"!",
            )  # fmt: skip
            self.signing.put(job)
        self.signing.wake()

    async def until(self, holds: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while not holds():  # noqa: ASYNC110
                await asyncio.sleep(0.001)

    def queued(self) -> list[Job]:
        found = []
        while (job := self.queue.get()) is not None:
            found.append(job)
        return found


def working(work: Callable[[Bench], Coroutine[Any, Any, None]], *, threads: int = 2) -> Bench:
    async def main() -> Bench:
        bench = Bench(threads)
        running = asyncio.create_task(bench.signing.run())
        try:
            await work(bench)
        finally:
            bench.gate.set()
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
        return bench

    return asyncio.run(main())


def test_signed_by_threads_and_then_queued() -> None:
    async def work(bench: Bench) -> None:
        bench.put(3 * BATCH)
        await bench.until(lambda: bench.begun == 2)
        assert len(bench.queue) == 0, "nothing unsigned"
        bench.gate.set()
        await bench.until(lambda: len(bench.queue) == 3 * BATCH)
        assert bench.woken == 3
        jobs = bench.queued()
        assert sorted(job.seq for job in jobs) == list(range(1, 3 * BATCH + 1))
        assert all(job.message == b"signed %d!" % job.seq for job in jobs)

    bench = working(work)
    assert len(bench.threads) == 2
    assert threading.get_ident() not in bench.threads


def test_the_threads_are_given_little_ahead() -> None:
    """So that what stops meanwhile need not wait for a long line."""

    async def work(bench: Bench) -> None:
        bench.put(10 * BATCH)
        await bench.until(lambda: bench.begun == 1)
        assert len(bench.signing) == (10 - AHEAD) * BATCH
        bench.gate.set()
        await bench.until(lambda: len(bench.queue) == 10 * BATCH)
        assert len(bench.signing) == 0

    working(work, threads=1)


def test_jobs_of_a_stopped_run_go_back_unsigned() -> None:
    async def work(bench: Bench) -> None:
        other = Owner()
        bench.put(1)
        await bench.until(lambda: bench.begun == 1)
        bench.put(2 * BATCH)
        bench.put(3, other)
        bench.owner.stopped = True
        bench.gate.set()
        await bench.until(lambda: len(bench.queue) == 3)
        await bench.until(lambda: len(bench.owner.returned) == 2 * BATCH + 1)
        assert bench.begun == 1 + 3, "one was under way"
        assert [job.seq for job in bench.queued()] == [1, 2, 3]

    working(work, threads=1)


def test_a_failure_ends_it() -> None:
    """A bug is not swallowed in a thread."""

    async def main() -> None:
        bench = Bench(1)

        def fails(message: bytes, tail: bytes, now: int) -> bytes:
            raise ValueError("a bug")

        bench.sign = fails  # type: ignore[method-assign]
        bench.put(1)
        async with asyncio.timeout(10):
            await bench.signing.run()

    with pytest.raises(ExceptionGroup) as caught:
        asyncio.run(main())
    assert caught.group_contains(ValueError, match="a bug")


def test_what_waits_is_signed_once_it_runs() -> None:
    async def main() -> None:
        bench = Bench(1)
        bench.put(1)
        bench.gate.set()
        running = asyncio.create_task(bench.signing.run())
        await bench.until(lambda: len(bench.queue) == 1)
        running.cancel()

    asyncio.run(main())


def test_the_interpreter_is_handed_over_sooner_meanwhile() -> None:
    before = sys.getswitchinterval()

    async def work(bench: Bench) -> None:
        await asyncio.sleep(0)
        assert sys.getswitchinterval() < 0.001

    working(work)
    assert sys.getswitchinterval() == before
