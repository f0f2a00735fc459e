"""The classes of refusals. It decides nothing: `bounce_table` says which reply is of which."""

from __future__ import annotations

import enum
from typing import Final


class Bounce(enum.StrEnum):
    """Why a message was refused. People and metrics see the value: never rename."""

    ADDRESS_BAD = "address_bad"
    """There is no such mailbox or domain, or there will not be again."""
    MAILBOX_FULL = "mailbox_full"
    UNAVAILABLE = "unavailable"
    """The mailbox takes no mail for now."""
    UNREACHABLE = "unreachable"
    """The recipient's own host does not answer, or is not found for now."""
    TOO_LARGE = "too_large"
    CONTENT = "content"
    """Taken for spam or a virus, or malformed."""
    POLICY = "policy"
    """The receiver's rules, without a better word."""
    REPUTATION = "reputation"
    """Of our hosts or domains: blocklists, complaints."""
    AUTHENTICATION = "authentication"
    """SPF, DKIM, DMARC, or the name of our host in the DNS."""
    RATE = "rate"
    """Too many messages or connections."""
    GREYLISTED = "greylisted"
    SENDER = "sender"
    """The sender's address is refused: it does not exist, or is not ours to use."""
    RELAY = "relay"
    """The relay does not carry our mail: it wants to know us, or we have had our part for today."""
    SYSTEM = "system"
    """The server that answers is in trouble."""
    PROTOCOL = "protocol"
    """It does not understand us."""
    UNCLASSIFIED = "unclassified"


SOFT: Final = frozenset({Bounce.MAILBOX_FULL, Bounce.UNAVAILABLE, Bounce.UNREACHABLE})
"""A failure for one of these says something of the address, but not enough by itself."""
