"""A proxy for one address, between the code under test and a server, that makes bad weather.

It runs in a thread with a loop of its own, so that it goes on whatever the code under test does.
All methods may be called from any thread and return when they have taken effect. A connection
that is black-holed behaves as TCP does when packets are lost: nothing arrives, nothing fails, and
what was held back arrives when the weather clears.
"""

from __future__ import annotations

import asyncio
import enum
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar, cast

import uvloop

from campaignd.sandbox.supervisor import unused_port

CALL_SECONDS: Final = 10.0
"""How long a command to the proxy's loop may take."""

HIGH_WATER: Final = 256 * 1024
"""Octets held back in one direction before the sender is made to wait."""

RESET: Final = struct.pack("ii", 1, 0)
"""SO_LINGER that makes a close send RST."""


class Direction(enum.Enum):
    """Which way octets go."""

    UP = "up"
    """From the client to the server."""
    DOWN = "down"


T = TypeVar("T")

BOTH: Final = (Direction.UP, Direction.DOWN)


@dataclass(slots=True)
class Weather:
    """What happens to octets that go one way."""

    blackhole: bool = False
    delay: float = 0.0
    """Seconds."""
    octets_per_second: float | None = None

    @property
    def clear(self) -> bool:
        return not self.blackhole and not self.delay and self.octets_per_second is None


@dataclass(slots=True)
class Trap:
    """Waits for octets of a client; then the server's answer is dropped, and with `cut` the
    connection ended."""

    pattern: bytes
    left: int
    cut: bool
    sprung: int = 0


@dataclass(slots=True)
class _State:
    weather: dict[Direction, Weather] = field(
        default_factory=lambda: {direction: Weather() for direction in BOTH}
    )
    refusing: bool = False
    slamming: bool = False
    """New connections are accepted and reset at once."""
    cut_after: dict[Direction, int] = field(default_factory=dict)
    """Octets after which a connection is cut, by direction; each connection counts for itself."""
    traps: list[Trap] = field(default_factory=list)


class Proxy:
    """Listens on 127.0.0.1 and forwards to `target`: a TCP port there, or a Unix socket.

    A context manager; `port` is fixed from the start.
    """

    def __init__(self, target: int | Path) -> None:
        self.port = unused_port()
        self._target = target
        self._state = _State()
        self._links: set[_Link] = set()
        self._loop = uvloop.new_event_loop()
        self._server: asyncio.AbstractServer | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
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
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CALL_SECONDS)
        self._loop.close()

    def retarget(self, target: int | Path) -> None:
        """New connections go there."""
        self._target = target

    def heal(self) -> None:
        """Clear weather again. Octets held back arrive now."""

        async def work() -> None:
            self._state.weather = {direction: Weather() for direction in BOTH}
            self._state.cut_after.clear()
            self._state.traps.clear()
            self._pump()
            self._state.refusing = self._state.slamming = False
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
            self._state.refusing = True
            await self._stop_listening()
            for link in list(self._links):
                link.end(reset=True)

        self._call(work())

    def slam(self) -> None:
        """As `refuse`, but counts who comes: connections are accepted and reset at once."""

        async def work() -> None:
            self._state.slamming = True
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
            self._state.cut_after[direction] = octets

        self._call(work())

    def drop_answer(self, pattern: bytes, *, times: int = 1, cut: bool = True) -> Trap:
        """Forwards the next `times` chunks from clients that contain `pattern`; drops what the
        server says then, and ends the connection at that moment, or without `cut` leaves it
        silent for good. `Trap.sprung` counts."""
        trap = Trap(pattern, times, cut)

        async def work() -> Trap:
            self._state.traps.append(trap)
            return trap

        return self._call(work())

    # within the loop

    def accept(self, link: _Link) -> None:
        """A client is here."""
        self.connections += 1
        self._links.add(link)

    def closed(self, link: _Link) -> None:
        """A connection is over."""
        self._links.discard(link)

    @property
    def state(self) -> _State:
        return self._state

    async def reach(self, link: _Link) -> None:
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
                change(self._state.weather[direction])
            self._pump()

        self._call(work())

    def _pump(self) -> None:
        for link in list(self._links):
            for pipe in link.pipes:
                pipe.pump()

    async def _listen(self) -> None:
        if self._server is None and not self._state.refusing:
            self._server = await self._loop.create_server(
                lambda: _Link(self).downstream, "127.0.0.1", self.port, backlog=512
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
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(CALL_SECONDS)


class _Link:
    """One client's connection and the one to the server that belongs to it."""

    def __init__(self, proxy: Proxy) -> None:
        self.proxy = proxy
        self.downstream = _End(self, Direction.UP)
        self.upstream = _End(self, Direction.DOWN)
        self.pipes = (
            _Pipe(self, Direction.UP, self.downstream, self.upstream),
            _Pipe(self, Direction.DOWN, self.upstream, self.downstream),
        )
        self.downstream.pipe, self.upstream.pipe = self.pipes
        self.trap: Trap | None = None
        """Once it has sprung, what the server says is dropped."""
        self.over = False
        self._opening: asyncio.Task[None] | None = None

    def connected(self, end: _End) -> None:
        """One end has its transport."""
        if end is self.downstream:
            self.proxy.accept(self)
            if self.proxy.state.slamming:
                self.end(reset=True)
                return
            self._opening = asyncio.get_running_loop().create_task(self.proxy.reach(self))
        elif self.over:
            end.abort()
        else:
            self.pipes[0].pump()

    def end(self, *, reset: bool) -> None:
        """Closes both ends, by RST or in order."""
        if self.over:
            return
        self.over = True
        self.proxy.closed(self)
        for end in (self.downstream, self.upstream):
            end.reset() if reset else end.close()


class _End(asyncio.Protocol):
    """A socket of a link; what it receives goes `direction`."""

    pipe: _Pipe

    def __init__(self, link: _Link, direction: Direction) -> None:
        self.link = link
        self.direction = direction
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.link.connected(self)

    def data_received(self, data: bytes) -> None:
        link = self.link
        if self.direction is Direction.DOWN and link.trap is not None:
            if link.trap.cut:
                link.end(reset=True)
            return
        if self.direction is Direction.UP:
            for trap in link.proxy.state.traps:
                if trap.left and trap.pattern in data:
                    trap.left -= 1
                    trap.sprung += 1
                    link.trap = trap
                    break
        self.pipe.put(data)

    def eof_received(self) -> bool:
        self.pipe.put(b"")
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.pipe.put(b"")

    def pause_writing(self) -> None:
        self._reader_of_us().pause()

    def resume_writing(self) -> None:
        self._reader_of_us().resume()

    def pause(self) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.pause_reading()

    def resume(self) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.resume_reading()

    def reset(self) -> None:
        if self.transport is not None:
            sock: socket.socket = self.transport.get_extra_info("socket")
            if sock is not None and sock.family != socket.AF_UNIX:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            self.transport.abort()

    def close(self) -> None:
        if self.transport is not None:
            self.transport.close()

    def abort(self) -> None:
        if self.transport is not None:
            self.transport.abort()

    def _reader_of_us(self) -> _End:
        """The end whose octets we write."""
        link = self.link
        return link.upstream if self is link.downstream else link.downstream


class _Pipe:
    """One direction of a link: a queue of octets with the times at which they may go on."""

    def __init__(self, link: _Link, direction: Direction, source: _End, sink: _End) -> None:
        self._link = link
        self._direction = direction
        self._source = source
        self._sink = sink
        self._queue: deque[tuple[float, bytes]] = deque()
        self._held = 0
        self._passed = 0
        self._free_at = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def put(self, data: bytes) -> None:
        """Octets have come; none for the end of the stream."""
        weather = self._link.proxy.state.weather[self._direction]
        if not self._queue and weather.clear and self._sink.transport is not None:
            self._forward(data)
            return
        now = self._link.proxy._loop.time()
        at = max(now + weather.delay, self._free_at)
        if weather.octets_per_second is not None:
            at += len(data) / weather.octets_per_second
        self._free_at = at
        self._queue.append((at, data))
        self._held += len(data)
        if self._held > HIGH_WATER:
            self._source.pause()
        self.pump()

    def pump(self) -> None:
        """Forwards what may go on now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._link.over or self._sink.transport is None:
            return
        weather = self._link.proxy.state.weather[self._direction]
        loop = self._link.proxy._loop
        while self._queue and not weather.blackhole:
            at, data = self._queue[0]
            if not weather.clear and at > loop.time():
                self._timer = loop.call_at(at, self.pump)
                return
            self._queue.popleft()
            self._held -= len(data)
            self._forward(data)
        if self._held <= HIGH_WATER and not self._link.over:
            self._source.resume()

    def _forward(self, data: bytes) -> None:
        link = self._link
        if link.over:
            return
        limit = link.proxy.state.cut_after.get(self._direction)
        if limit is not None and self._passed + len(data) >= limit:
            assert self._sink.transport is not None
            self._sink.transport.write(data[: max(0, limit - self._passed)])
            link.end(reset=False)
        elif not data:
            link.end(reset=False)
        else:
            assert self._sink.transport is not None
            self._passed += len(data)
            self._sink.transport.write(data)
