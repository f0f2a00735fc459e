"""Simulated time, and one event loop for each simulated process.

A process runs until it has nothing to do at this moment; then time moves on to the next event
of the world. A frozen process keeps what happens to it until it thaws, like a stopped one whose
sockets fill and whose timers are overdue. Its monotonic clock may run a little fast or slow, and
its wall clock may jump.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
from collections import deque
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any

SPIN_LIMIT = 20_000
"""Callbacks of one process without any time passing: more is an endless loop."""


THREAD_SECONDS = 0.2
"""The most that a thread takes for what it is given."""


class Handle:
    """A callback to be run, as loops return it."""

    __slots__ = ("args", "callback", "cancelled_", "context")

    def __init__(
        self,
        callback: Callable[..., Any],
        args: tuple[Any, ...],
        context: contextvars.Context | None,
    ) -> None:
        self.callback = callback
        self.args = args
        self.context = context
        self.cancelled_ = False

    def cancel(self) -> None:
        self.cancelled_ = True

    def cancelled(self) -> bool:
        return self.cancelled_

    def run(self) -> None:
        if not self.cancelled_:
            if self.context is None:
                self.callback(*self.args)
            else:
                self.context.run(self.callback, *self.args)


class World:
    """Time and the events to come. `now` is true time in seconds; no process can see it."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.now = 0.0
        self.running: Process | None = None
        self._order = 0
        self._events: list[tuple[float, int, Process | None, Handle]] = []

    def at(
        self, when: float, process: Process | None, callback: Callable[..., Any], *args: Any
    ) -> Handle:
        """Runs a callback at true time `when`, in a process if one is given."""
        return self.push(when, process, Handle(callback, args, None))

    def push(self, when: float, process: Process | None, handle: Handle) -> Handle:
        self._order += 1
        heapq.heappush(self._events, (max(when, self.now), self._order, process, handle))
        return handle

    def run_until(self, deadline: float, done: Callable[[], bool]) -> bool:
        """Lets things happen until `done`, which is asked after each; False at the deadline."""
        events = self._events
        while events:
            when, _, process, handle = heapq.heappop(events)
            if when > deadline:
                return False
            if handle.cancelled_:
                continue
            self.now = when
            if process is None:
                handle.run()
            else:
                process.deliver(handle)
            if done():
                return True
        return done()


class Process(asyncio.AbstractEventLoop):
    """A process, and the event loop in it. `rate` is how fast its monotonic clock runs."""

    def __init__(self, world: World, name: str, *, rate: float, offset: float, wall: float) -> None:
        self.world = world
        self.name = name
        self.alive = True
        self.frozen = False
        self.wall_offset = wall
        self.failure: BaseException | None = None
        self._rate = rate
        self._offset = offset
        self._ready: deque[Handle] = deque()
        self._kept: list[Handle] = []
        self._tasks: list[asyncio.Task[Any]] = []

    def __repr__(self) -> str:
        return f"<{self.name}>"

    # What happens to it.

    def deliver(self, handle: Handle) -> None:
        """Runs a callback and everything that is ready after it."""
        if not self.alive:
            return
        if self.frozen:
            self._kept.append(handle)
            return
        self._ready.append(handle)
        self._run_ready()

    def freeze(self, seconds: float) -> None:
        """Stops it at once, also in the middle of what is ready."""
        if self.alive and not self.frozen:
            self.frozen = True
            self.world.at(self.world.now + seconds, None, self._thaw)

    def _thaw(self) -> None:
        if not self.alive:
            return
        self.frozen = False
        kept, self._kept = self._kept, []
        # A loop does not say in which order it finds overdue timers and readable sockets.
        self.world.rng.shuffle(kept)
        self._ready.extend(kept)
        self._run_ready()

    def kill(self) -> None:
        """It does nothing any more."""
        self.alive = False

    def end(self) -> None:
        """Ends the coroutines of a process that is killed or not needed any more. Nothing that
        they do then reaches the world: `alive` is False."""
        self.alive = self.frozen = False
        for _ in range(10):
            left = [task for task in self._tasks if not task.done()]
            if not left:
                break
            for task in left:
                task.cancel()
            self._run_ready(ending=True)
        self._tasks.clear()
        self._kept.clear()

    def _run_ready(self, *, ending: bool = False) -> None:
        ready, world = self._ready, self.world
        asyncio._set_running_loop(self)
        world.running = self
        spins = 0
        try:
            while ready and not self.frozen and (self.alive or ending):
                ready.popleft().run()
                spins += 1
                if spins > SPIN_LIMIT:
                    raise RuntimeError(f"{self} runs without end")
        finally:
            world.running = None
            asyncio._set_running_loop(None)

    def spawn(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Starts a coroutine from outside."""
        asyncio._set_running_loop(self)
        try:
            task = self.create_task(coroutine)
        finally:
            asyncio._set_running_loop(None)
        task.add_done_callback(self._main_ended)
        self.world.at(self.world.now, self, lambda: None)
        return task

    def _main_ended(self, task: asyncio.Task[Any]) -> None:
        if self.alive and not task.cancelled() and task.exception() is not None:
            self.failure = task.exception()

    # Its clocks.

    def time(self) -> float:
        return self._offset + self.world.now * self._rate

    def wall(self) -> float:
        return self.world.now + self.wall_offset

    # The part of an event loop that asyncio's tasks, timeouts and events use.

    def call_soon(  # type: ignore[override]
        self,
        callback: Callable[..., Any],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> Handle:
        handle = Handle(callback, args, context)
        self._ready.append(handle)
        return handle

    def call_later(  # type: ignore[override]
        self,
        delay: float,
        callback: Callable[..., Any],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> Handle:
        handle = Handle(callback, args, context)
        return self.world.push(self.world.now + delay / self._rate, self, handle)

    def call_at(  # type: ignore[override]
        self,
        when: float,
        callback: Callable[..., Any],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> Handle:
        handle = Handle(callback, args, context)
        return self.world.push((when - self._offset) / self._rate, self, handle)

    def run_in_executor(self, executor: object, func: Callable[..., Any], *args: Any) -> Any:
        """Of a thread one sees that its work takes a while."""
        future: asyncio.Future[Any] = asyncio.Future(loop=self)

        def work() -> None:
            if not future.done():
                future.set_result(func(*args))

        self.call_later(self.world.rng.random() * THREAD_SECONDS, work)
        return future

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, **options: Any) -> asyncio.Task[Any]:
        task = asyncio.Task(coro, loop=self)
        self._tasks.append(task)
        return task

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if self.alive:
            self.failure = context.get("exception") or RuntimeError(context["message"])
