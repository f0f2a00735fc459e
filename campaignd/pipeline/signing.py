"""Signing between composing and the queue: threads sign while the loop sends.

A job in here is composed and not attempted: it holds a part of a turn, which bounds how many there
are, and goes back to its run when that has stopped (R7). It must never reach the queue unsigned.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, cast

from campaignd.model import Job
from campaignd.pipeline.queue import JobQueue, Owner

BATCH: Final = 16
"""Jobs that a thread takes at once, some 5 ms of RSA: a hand-over costs the loop about 40 us."""

AHEAD: Final = 2
"""Batches for each thread: it finds the next one when it has done the first."""

SWITCH_SECONDS: Final = 0.0001
"""After each signature a thread waits for the interpreter, which the loop keeps for so long if it
has work. With Python's 5 ms, two threads beside a busy loop made 550 signatures a second instead
of 2,500."""


class Signing:
    """`wake` tells the lane that `queue` has jobs."""

    def __init__(
        self,
        queue: JobQueue,
        wake: Callable[[], None],
        *,
        threads: int | None = None,
    ) -> None:
        """`threads`: by default one for each core that this process may use."""
        threads = threads or len(os.sched_getaffinity(0))
        self._queue = queue
        self._wake_lane = wake
        self._waiting: deque[Job] = deque()
        self._most = AHEAD * threads
        self._batches = 0
        self._executor = ThreadPoolExecutor(threads, "signing")
        self._tasks: asyncio.TaskGroup | None = None

    def __len__(self) -> int:
        """Jobs that wait for a thread."""
        return len(self._waiting)

    def put(self, job: Job) -> None:
        """Takes a job whose `sign` is to be called. Nothing begins before `wake`."""
        self._waiting.append(job)

    def wake(self) -> None:
        """Gives to the threads what they can take."""
        waiting = self._waiting
        while waiting and self._batches < self._most and self._tasks is not None:
            batch = [waiting.popleft() for _ in range(min(BATCH, len(waiting)))]
            self._batches += 1
            self._tasks.create_task(self._sign(batch))

    async def run(self) -> None:
        """Signs until cancelled; what is in here then is left unattempted."""
        before = sys.getswitchinterval()
        sys.setswitchinterval(min(before, SWITCH_SECONDS))
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                self.wake()
                await asyncio.get_running_loop().create_future()
        finally:
            self._tasks = None
            self._executor.shutdown(wait=False, cancel_futures=True)
            sys.setswitchinterval(before)

    async def _sign(self, batch: Sequence[Job]) -> None:
        await asyncio.get_running_loop().run_in_executor(self._executor, _sign_all, batch)
        self._batches -= 1
        for job in batch:
            owner = cast(Owner, job.owner)
            if owner.stopped:
                owner.give_back(job)
            else:
                self._queue.put(job)
        self.wake()
        self._wake_lane()


def _sign_all(batch: Sequence[Job]) -> None:
    """In a thread. What has stopped meanwhile is left as it is."""
    now = int(time.time())
    for job in batch:
        if job.sign is not None and not cast(Owner, job.owner).stopped:
            job.message = job.sign(job.message, job.tail, now)
