"""The records that a configuration calls for. What is found in the DNS is in
tests/integration/dkim."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from campaignd.config import Bounces, Config, Links, Relay
from campaignd.dkim import SigningKey
from campaignd.dns import STRING_OCTETS, Kind, Record, records

KEYS = [
    SigningKey(generate_private_key(65_537, 2_048), domain="acme.example", selector="r1"),
    SigningKey(Ed25519PrivateKey.generate(), domain="acme.example", selector="e1"),
]


def found(config: Config) -> dict[str, Record]:
    return {record.name: record for record in records(config, "News.acme.example", KEYS)}


def test_all_kinds() -> None:
    config = Config(
        links=Links(url="https://Links.acme.example:8443/x"),
        bounces=Bounces(domain="bounces.acme.example"),
        relay=[Relay(name="a", host="smtp.acme.example")],
    )
    needed = records(config, "News.acme.example", KEYS)
    assert [(record.kind, record.name, record.type) for record in needed] == [
        (Kind.DKIM, "r1._domainkey.acme.example", "TXT"),
        (Kind.DKIM, "e1._domainkey.acme.example", "TXT"),
        (Kind.SPF, "news.acme.example", "TXT"),
        (Kind.SPF, "bounces.acme.example", "TXT"),
        (Kind.DMARC, "_dmarc.news.acme.example", "TXT"),
        (Kind.BOUNCES, "bounces.acme.example", "MX"),
        (Kind.LINKS, "links.acme.example", "A"),
    ]
    assert found(config)["_dmarc.news.acme.example"].value.startswith("v=DMARC1; p=none;")


def test_nothing_is_configured() -> None:
    needed = records(Config(), "acme.example")
    assert [record.kind for record in needed] == [Kind.SPF, Kind.DMARC]


def test_a_long_key_is_in_pieces() -> None:
    record = found(Config())["r1._domainkey.acme.example"]
    assert len(record.strings) == 2
    assert "".join(record.strings) == record.value == KEYS[0].record
    assert max(map(len, record.strings)) == STRING_OCTETS
    first, second = record.strings
    assert record.line == f'r1._domainkey.acme.example. IN TXT "{first}" "{second}"'


@pytest.mark.parametrize(
    ("relays", "spf"),
    [
        ([], "v=spf1 a:mail.news.acme.example ~all"),
        (["smtp.acme.example"], "v=spf1 a:smtp.acme.example ~all"),
        (["8.8.4.4", "2001:4860::1", "8.8.4.4"], "v=spf1 ip4:8.8.4.4 ip6:2001:4860::1 ~all"),
        (["127.0.0.1", "10.1.2.3"], "v=spf1 a:mail.news.acme.example ~all"),
        (["localhost"], "v=spf1 a:mail.news.acme.example ~all"),
    ],
)
def test_who_may_send(relays: list[str], spf: str) -> None:
    config = Config(relay=[Relay(name="r", host=host) for host in relays])
    assert found(config)["news.acme.example"].value == spf


def test_a_relay_here_is_known_by_what_it_calls_itself() -> None:
    config = Config(relay=[Relay(name="r", host="127.0.0.1", helo="out1.acme.example")])
    assert found(config)["news.acme.example"].value == "v=spf1 a:out1.acme.example ~all"
