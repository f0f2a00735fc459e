"""Connections through a proxy, and what happens to the octets on them."""

from __future__ import annotations

import asyncio
import enum
import socket
import struct
from collections import deque
from dataclasses import dataclass, field
from typing import Final, Protocol, cast

HIGH_WATER: Final = 256 * 1024
"""Octets held back in one direction before the sender is made to wait."""

RESET: Final = struct.pack("ii", 1, 0)
"""SO_LINGER that makes a close send RST."""


class Direction(enum.Enum):
    """Which way octets go."""

    UP = "up"
    """From the client to the server."""
    DOWN = "down"


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
class State:
    weather: dict[Direction, Weather] = field(
        default_factory=lambda: {direction: Weather() for direction in BOTH}
    )
    refusing: bool = False
    slamming: bool = False
    """New connections are accepted and reset at once."""
    cut_after: dict[Direction, int] = field(default_factory=dict)
    """Octets after which a connection is cut, by direction; each connection counts for itself."""
    traps: list[Trap] = field(default_factory=list)


class Owner(Protocol):
    """What a link needs of its proxy."""

    loop: asyncio.AbstractEventLoop
    state: State

    def accepted(self, link: Link) -> None:
        """A client is here."""

    def closed(self, link: Link) -> None:
        """A connection is over."""

    async def reach(self, link: Link) -> None:
        """Connects `link.upstream` to the target, or ends the link."""


class Link:
    """One client's connection and the one to the server that belongs to it."""

    def __init__(self, proxy: Owner) -> None:
        self.proxy = proxy
        self.downstream = End(self, Direction.UP)
        self.upstream = End(self, Direction.DOWN)
        self.pipes = (
            Pipe(self, Direction.UP, self.downstream, self.upstream),
            Pipe(self, Direction.DOWN, self.upstream, self.downstream),
        )
        self.downstream.pipe, self.upstream.pipe = self.pipes
        self.trap: Trap | None = None
        """Once it has sprung, what the server says is dropped."""
        self.over = False
        self._opening: asyncio.Task[None] | None = None

    def connected(self, end: End) -> None:
        """One end has its transport."""
        if end is self.downstream:
            self.proxy.accepted(self)
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


class End(asyncio.Protocol):
    """A socket of a link; what it receives goes `direction`."""

    pipe: Pipe

    def __init__(self, link: Link, direction: Direction) -> None:
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

    def _reader_of_us(self) -> End:
        """The end whose octets we write."""
        link = self.link
        return link.upstream if self is link.downstream else link.downstream


class Pipe:
    """One direction of a link: a queue of octets with the times at which they may go on."""

    def __init__(self, link: Link, direction: Direction, source: End, sink: End) -> None:
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
        now = self._link.proxy.loop.time()
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
        loop = self._link.proxy.loop
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
