"""What passes between the commands of a session and the sink that it belongs to."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from campaignd.sandbox.counters import Counters
from campaignd.sandbox.policy import Fate, SinkPolicy


class Delivery(NamedTuple):
    """One message that the sink answers for, and the recipients it was accepted for."""

    session: int
    sender: bytes
    recipients: tuple[bytes, ...]
    content: bytes
    """As transmitted: dot-stuffed, ending in CRLF, without the final dot."""


class Receiver(Protocol):
    """What the commands of a session need of their sink."""

    policy: SinkPolicy
    counters: Counters

    def take(self, delivery: Delivery) -> None:
        """Notes a message that is going to be acknowledged."""

    def fate(self, recipient: bytes) -> Fate | None:
        """What becomes of this attempt to deliver to a recipient; None: it is accepted."""
