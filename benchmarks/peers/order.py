"""What a peer is to send."""

from __future__ import annotations

import msgspec


class Order(msgspec.Struct, frozen=True):
    """A peer's one argument, as JSON."""

    host: str
    port: int
    sessions: int
    count: int
    sender: str
    message_file: str
    """Holds the message with CRLF line ends, without its final dot."""
