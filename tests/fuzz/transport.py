"""A transport that only remembers."""

from __future__ import annotations

import asyncio
from typing import Any

from campaignd.net.session import BLOCK
from tests.fuzz import wire


class MemoryTransport:
    """Takes `room` octets into the kernel; the rest waits in its buffer. `ended` says that our
    side has hung up."""

    def __init__(self, log: wire.Log) -> None:
        self._log = log
        self.room = 1 << 40
        self.buffered = 0
        self.ended = False
        self.protocol: asyncio.Protocol | None = None

    def write(self, data: bytes) -> None:
        assert not self.ended, "written after the end"
        assert data
        self._log.wrote(data)
        sent = min(self.room, len(data))
        self.room -= sent
        self.buffered += len(data) - sent
        assert self.buffered <= BLOCK + 2_000, "a relay that does not read fills our memory"

    def get_write_buffer_size(self) -> int:
        return self.buffered

    def set_write_buffer_limits(self, high: int) -> None: ...

    def set_protocol(self, protocol: asyncio.Protocol) -> None:
        self.protocol = protocol

    def get_extra_info(self, name: str) -> Any:
        return self

    def setsockopt(self, *args: int) -> None: ...

    def close(self) -> None:
        self.ended = True

    abort = close
