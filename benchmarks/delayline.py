"""A line of a given length: a TCP relay that hands every octet on a fixed time after it came.

Run as a process, `python -m benchmarks.delayline LISTEN_PORT TARGET_PORT SECONDS`, where SECONDS
is the time of one way; 0 makes it a line without length, to know what the relay itself costs. A
new connection takes three ways (SYN, SYN-ACK, ACK) before the server learns of it.

One thread over epoll, since it must carry 10,000 messages a second beside what is measured. Linux
rounds the wait to whole milliseconds, so a way takes up to one longer.
"""

from __future__ import annotations

import resource
import select
import socket
import sys
import time
from collections import deque
from typing import Final

HOST: Final = "127.0.0.1"
BACKLOG: Final = 4_096
READ_OCTETS: Final = 65_536
MOST_UNDERWAY: Final = 4 * 1024 * 1024
"""Octets of one direction of a connection on the line; then its sender has to wait."""
HANDSHAKE_WAYS: Final = 3


class End:
    """One socket of a connection, and the octets on their way to it."""

    __slots__ = ("ended", "other", "paused", "shut", "socket", "underway", "unsent", "watched")

    def __init__(self, link: socket.socket) -> None:
        self.socket = link
        self.other: End | None = None
        self.underway = 0
        """Octets between the other end and here, also those that `unsent` holds."""
        self.unsent: deque[bytes] = deque()
        """Arrived, but not taken by the kernel yet."""
        self.paused = False
        """Not read from, because the line is full."""
        self.ended = False
        """Nothing more comes from it."""
        self.shut = False
        """It has been told that nothing more comes."""
        self.watched = 0


class Line:
    """Listens on `port` and carries each connection to `target`, `seconds` each way."""

    def __init__(self, port: int, target: int, seconds: float) -> None:
        self._target = target
        self._seconds = seconds
        self._listener = socket.create_server((HOST, port), backlog=BACKLOG)
        self._listener.setblocking(False)
        self._poll = select.epoll()
        self._poll.register(self._listener, select.EPOLLIN)
        self._ends: dict[int, End] = {}
        self._arrivals: deque[tuple[float, End, bytes]] = deque()
        self._handshakes: deque[tuple[float, End]] = deque()

    def run(self) -> None:
        """Until the process is killed."""
        listener = self._listener.fileno()
        while True:
            for number, event in self._poll.poll(self._until_next()):
                if number == listener:
                    self._accept()
                    continue
                if event & select.EPOLLOUT and (end := self._ends.get(number)) is not None:
                    self._flush(end)
                if event & ~select.EPOLLOUT and (end := self._ends.get(number)) is not None:
                    self._read(end)
            now = time.monotonic()
            while self._handshakes and self._handshakes[0][0] <= now:
                self._connect(self._handshakes.popleft()[1])
            while self._arrivals and self._arrivals[0][0] <= now:
                _, end, data = self._arrivals.popleft()
                self._arrive(end, data)

    def _until_next(self) -> float:
        due = [queue[0][0] for queue in (self._arrivals, self._handshakes) if queue]
        return max(0.0, min(due) - time.monotonic()) if due else -1

    def _accept(self) -> None:
        while True:
            try:
                link, _ = self._listener.accept()
            except BlockingIOError:
                return
            end = self._end(link)
            self._handshakes.append((time.monotonic() + HANDSHAKE_WAYS * self._seconds, end))

    def _end(self, link: socket.socket) -> End:
        link.setblocking(False)
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        end = End(link)
        self._ends[link.fileno()] = end
        return end

    def _connect(self, near: End) -> None:
        """To loopback, which answers at once."""
        try:
            far = self._end(socket.create_connection((HOST, self._target), 5.0))
        except OSError:
            self._drop(near)
            return
        near.other, far.other = far, near
        for end in (near, far):
            self._watch(end)

    def _read(self, end: End) -> None:
        other = end.other
        if other is None or end.ended:
            return
        try:
            data = end.socket.recv(READ_OCTETS)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        end.ended = not data  # which travels like everything else
        other.underway += len(data)
        end.paused = other.underway > MOST_UNDERWAY
        if self._seconds:
            self._arrivals.append((time.monotonic() + self._seconds, other, data))
        else:
            self._arrive(other, data)
        self._watch(end)

    def _arrive(self, end: End, data: bytes) -> None:
        end.unsent.append(data)
        if len(end.unsent) == 1:
            self._flush(end)

    def _flush(self, end: End) -> None:
        unsent, other = end.unsent, end.other
        if other is None or end.socket.fileno() < 0:
            return
        try:
            while unsent:
                data = unsent[0]
                if not data:
                    end.shut = True
                    end.socket.shutdown(socket.SHUT_WR)
                    unsent.clear()
                    break
                sent = end.socket.send(data)
                end.underway -= sent
                if sent < len(data):
                    unsent[0] = data[sent:]
                else:
                    unsent.popleft()
        except BlockingIOError:
            pass
        except OSError:
            end.shut = other.shut = True
        if end.shut and other.shut:
            self._drop(end)
            self._drop(other)
            return
        self._watch(end)
        if other.paused and end.underway <= MOST_UNDERWAY:
            other.paused = False
            self._watch(other)

    def _watch(self, end: End) -> None:
        """Waits for what the end can do next. One that can do nothing is not watched at all: a
        broken one would report that for ever."""
        wanted = 0 if end.paused or end.ended else select.EPOLLIN
        if end.unsent:
            wanted |= select.EPOLLOUT
        if wanted == end.watched or end.socket.fileno() < 0:
            return
        if not end.watched:
            self._poll.register(end.socket, wanted)
        elif wanted:
            self._poll.modify(end.socket, wanted)
        else:
            self._poll.unregister(end.socket)
        end.watched = wanted

    def _drop(self, end: End) -> None:
        if self._ends.pop(end.socket.fileno(), None) is not None:
            end.socket.close()


def main() -> None:
    """Carries until it is killed."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # two descriptors a connection
    port, target, seconds = sys.argv[1:]
    Line(int(port), int(target), float(seconds)).run()


if __name__ == "__main__":
    main()
