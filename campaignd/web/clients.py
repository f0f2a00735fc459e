"""Who asks: the address that limits are counted for.

X-Forwarded-For is what anybody may write. Only the part that our own proxies added is believed.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Final

from campaignd.errors import ConfigError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

MAX_HOPS: Final = 16
"""Of X-Forwarded-For, counted from us; more do not happen."""

SUBSCRIBER_BITS: Final = 64
"""Of an IPv6 address: what one subscriber has at least (RFC 6177), and so can change at will."""


class Clients:
    """`trusted`: addresses or networks of our own proxies."""

    def __init__(self, trusted: Sequence[str]) -> None:
        """Raises ConfigError, naming the entry."""
        self._trusted = [_network(entry) for entry in trusted]

    def key(self, peer: str, forwarded: Sequence[str]) -> str:
        """The client's address, or its network if that is IPv6. `peer` is who connected to us;
        `forwarded` are the values of X-Forwarded-For in the order of the message."""
        client = _address(peer)
        hops = [hop for value in forwarded for hop in value.split(",")][-MAX_HOPS:]
        while client is not None and hops and self._is_ours(client):
            before = _address(_without_port(hops.pop().strip()))
            if before is None:
                break
            client = before
        if client is None:
            return "?"
        if isinstance(client, ipaddress.IPv6Address):
            return str(ipaddress.ip_network((client, SUBSCRIBER_BITS), strict=False))
        return str(client)

    def _is_ours(self, address: Address) -> bool:
        return any(address in network for network in self._trusted)


def _network(entry: str) -> Network:
    try:
        return ipaddress.ip_network(entry)
    except ValueError:
        raise ConfigError(
            f"[web] trusted_proxies: {entry!r} is no address or network; write 10.0.0.7 or"
            " 10.0.0.0/24"
        ) from None


def _address(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address


def _without_port(hop: str) -> str:
    """Some proxies write 192.0.2.1:4711 or [2001:db8::1]:4711."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop
