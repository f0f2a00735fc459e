"""Where the messages go: what every scenario needs of a receiver, whatever it is made of."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self

from campaignd.config import Relay


class FarEnd(Protocol):
    """A context manager around one or more receiving servers. `host` and `port` are for senders
    that know only one."""

    host: str
    port: int

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

    @property
    def cpu_seconds(self) -> float:
        """What its processes have used."""

    @property
    def messages(self) -> int:
        """How many it has taken."""

    def relays(self) -> list[Relay]:
        """What leads a daemon here."""

    def expect(self, messages: int) -> None:
        """Raises BenchmarkError unless it has taken exactly this many."""
