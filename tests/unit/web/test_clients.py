"""Whose request it is, whatever X-Forwarded-For says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaignd.errors import ConfigError
from campaignd.web.clients import Clients

PROXY = "10.0.0.7"


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("192.0.2.1", [], "192.0.2.1"),
        ("192.0.2.1", ["198.51.100.9"], "192.0.2.1"),  # not a proxy of ours: it may say anything
        (PROXY, [], PROXY),
        (PROXY, ["198.51.100.9"], "198.51.100.9"),
        (PROXY, ["1.1.1.1, 198.51.100.9"], "198.51.100.9"),  # the first is the client's own word
        (PROXY, ["1.1.1.1", "198.51.100.9"], "198.51.100.9"),
        (PROXY, ["198.51.100.9, 10.0.0.8"], "198.51.100.9"),  # two proxies of ours
        (PROXY, ["198.51.100.9:4711"], "198.51.100.9"),
        (PROXY, ["[2001:db8::1]:4711"], "2001:db8::/64"),
        (PROXY, ["2001:db8:0:0:ffff::1"], "2001:db8::/64"),
        (PROXY, ["198.51.100.9, unknown"], PROXY),
        (PROXY, [""], PROXY),
        ("::ffff:10.0.0.7", ["198.51.100.9"], "198.51.100.9"),
        ("", ["198.51.100.9"], "?"),
        ("testclient", [], "?"),
    ],
)
def test_the_client(peer: str, forwarded: list[str], client: str) -> None:
    assert Clients(["10.0.0.0/24"]).key(peer, forwarded) == client


def test_nobody_is_trusted_unless_named() -> None:
    assert Clients([]).key("127.0.0.1", ["198.51.100.9"]) == "127.0.0.1"


def test_ipv6_proxies_can_be_named() -> None:
    clients = Clients(["2001:db8::5", "fd00::/8"])
    assert clients.key("2001:db8::5", ["192.0.2.7, fd00::9"]) == "192.0.2.7"


@pytest.mark.parametrize("entry", ["proxy", "10.0.0.1/24", "10.0.0.0/33", ""])
def test_what_is_no_network(entry: str) -> None:
    with pytest.raises(ConfigError, match="trusted_proxies"):
        Clients([entry])


@given(st.lists(st.text(max_size=60), max_size=30), st.text(max_size=20))
def test_whatever_is_written_there(forwarded: list[str], peer: str) -> None:
    assert Clients(["10.0.0.0/24"]).key("192.0.2.1", forwarded) == "192.0.2.1"
    Clients(["10.0.0.0/24"]).key(PROXY, forwarded)
    Clients(["0.0.0.0/0"]).key(peer, forwarded)


def test_thousands_of_hops_end() -> None:
    assert Clients(["0.0.0.0/0"]).key(PROXY, ["10.0.0.9," * 10_000 + "10.0.0.8"]) == "10.0.0.9"
