"""What a sink has seen, as plain numbers."""

from __future__ import annotations

import msgspec


class Counters(msgspec.Struct):
    """All count from the sink's start, but for `sessions`, which are those open now."""

    connections: int = 0
    sessions: int = 0
    most_sessions: int = 0
    refused: int = 0
    """Connections above `max_sessions`."""
    accepted: int = 0
    """Recipients of messages that were taken; what the log has."""
    messages: int = 0
    octets: int = 0
    """Of the messages that were taken."""
    rejected: int = 0
    deferred: int = 0
    dropped: int = 0
    swallowed: int = 0
    bad_commands: int = 0
    cut_off: int = 0
    """Sessions that the client closed within a transaction."""
    early_input: int = 0
    """Times that a client sent what it must not send before it has read a reply."""
    undeclared_eight_bit: int = 0
    """Messages with octets above 127 without BODY=8BITMIME."""
    bare_line_feeds: int = 0
    """Messages with a line feed that does not end CRLF."""
