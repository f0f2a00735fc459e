"""A proxy for one address, between the code under test and a server, that makes bad weather.

It runs in a thread with a loop of its own, so that it goes on whatever the code under test does.
All methods may be called from any thread and return when they have taken effect. A connection
that is black-holed behaves as TCP does when packets are lost: nothing arrives, nothing fails, and
what was held back arrives when the weather clears.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import uvloop

from campaignd.sandbox.supervisor import unused_port
from tests.faults.wire import BOTH, Direction, Link, State, Trap, Weather

T = TypeVar("T")

CALL_SECONDS: Final = 10.0
"""How long a command to the proxy's loop may take."""


class Proxy:
    """Listens on 127.0.0.1 and forwards to `target`: a TCP port there, or a Unix socket.

    A context manager; `port` is fixed from the start.
    """

    def __init__(self, target: int | Path) -> None:
        self.port = unused_port()
        self._target = target
        self.state = State()
        self._links: set[Link] = set()
        self.loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
        self._server: asyncio.AbstractServer | None = None
        self._thread = threading.Thread(target=self.loop.run_forever, name="proxy", daemon=True)
        self.connections = 0
        """How many were accepted so far."""

    def __enter__(self) -> Self:
        self._thread.start()
        self._call(self._listen())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._call(self._close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(CALL_SECONDS)
        self.loop.close()

    def retarget(self, target: int | Path) -> None:
        """New connections go there."""
        self._target = target

    def heal(self) -> None:
        """Clear weather again. Octets held back arrive now."""

        async def work() -> None:
            self.state.weather = {direction: Weather() for direction in BOTH}
            self.state.cut_after.clear()
            self.state.traps.clear()
            self._pump()
            self.state.refusing = self.state.slamming = False
            await self._listen()

        self._call(work())

    def cut(self, *, reset: bool = True) -> int:
        """Ends all connections, by RST or in order; new ones are accepted. How many."""

        async def work() -> int:
            links = list(self._links)
            for link in links:
                link.end(reset=reset)
            return len(links)

        return self._call(work())

    def refuse(self) -> None:
        """Ends all connections and refuses new ones until `heal`."""

        async def work() -> None:
            self.state.refusing = True
            await self._stop_listening()
            for link in list(self._links):
                link.end(reset=True)

        self._call(work())

    def slam(self) -> None:
        """As `refuse`, but counts who comes: connections are accepted and reset at once."""

        async def work() -> None:
            self.state.slamming = True
            for link in list(self._links):
                link.end(reset=True)

        self._call(work())

    @property
    def open(self) -> int:
        """Connections at this moment."""
        return len(self._links)

    def blackhole(self, *directions: Direction) -> None:
        """Nothing arrives any more, by default either way; connections stay."""
        self._set(directions, lambda weather: setattr(weather, "blackhole", True))

    def delay(self, seconds: float, *directions: Direction) -> None:
        """Everything arrives so much later, by default either way."""
        self._set(directions, lambda weather: setattr(weather, "delay", seconds))

    def throttle(self, octets_per_second: float, *directions: Direction) -> None:
        """No connection gets more than this through."""
        self._set(directions, lambda w: setattr(w, "octets_per_second", octets_per_second))

    def cut_after(self, octets: int, direction: Direction) -> None:
        """A connection is cut once so many octets have gone that way; no more of them arrive."""

        async def work() -> None:
            self.state.cut_after[direction] = octets

        self._call(work())

    def drop_answer(self, pattern: bytes, *, times: int = 1, cut: bool = True) -> Trap:
        """Forwards the next `times` chunks from clients that contain `pattern`; drops what the
        server says then, and ends the connection at that moment, or without `cut` leaves it
        silent for good. `Trap.sprung` counts."""
        trap = Trap(pattern, times, cut)

        async def work() -> Trap:
            self.state.traps.append(trap)
            return trap

        return self._call(work())

    # within the loop

    def accepted(self, link: Link) -> None:
        """A client is here."""
        self.connections += 1
        self._links.add(link)

    def closed(self, link: Link) -> None:
        """A connection is over."""
        self._links.discard(link)

    async def reach(self, link: Link) -> None:
        """Connects to the target for a client."""
        loop = asyncio.get_running_loop()
        try:
            if isinstance(self._target, Path):
                await loop.create_unix_connection(lambda: link.upstream, str(self._target))
            else:
                await loop.create_connection(lambda: link.upstream, "127.0.0.1", self._target)
        except OSError:
            link.end(reset=True)

    def _set(self, directions: tuple[Direction, ...], change: Callable[[Weather], None]) -> None:
        async def work() -> None:
            for direction in directions or BOTH:
                change(self.state.weather[direction])
            self._pump()

        self._call(work())

    def _pump(self) -> None:
        for link in list(self._links):
            for pipe in link.pipes:
                pipe.pump()

    async def _listen(self) -> None:
        if self._server is None and not self.state.refusing:
            self._server = await self.loop.create_server(
                lambda: Link(self).downstream, "127.0.0.1", self.port, backlog=512
            )

    async def _stop_listening(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _close(self) -> None:
        await self._stop_listening()
        for link in list(self._links):
            link.end(reset=True)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(CALL_SECONDS)
