"""What `dns.check` says of what a name server has."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from campaignd.dns import Checked, Kind, Record, State, check
from campaignd.errors import UsageError
from tests.fakes.nameserver import NameServer

KEY = "v=DKIM1; k=rsa; p=MIIBabcd"
NAMES = {
    Kind.DKIM: ("s1._domainkey.acme.example", "TXT", KEY),
    Kind.SPF: ("acme.example", "TXT", "v=spf1 a:smtp.acme.example ~all"),
    Kind.DMARC: ("_dmarc.news.acme.example", "TXT", "v=DMARC1; p=none"),
    Kind.BOUNCES: ("bounces.acme.example", "MX", "10 mail.acme.example."),
    Kind.LINKS: ("links.acme.example", "A", "192.0.2.1"),
}


def looked_up(
    kind: Kind, zone: Mapping[tuple[str, str], Sequence[str]], refused: Sequence[str] = ()
) -> Checked:
    name, type_, value = NAMES[kind]
    with NameServer(zone, refused=refused) as server:
        [found] = asyncio.run(check([Record(kind, name, type_, value, "")], server.address))
    return found


@pytest.mark.parametrize(
    ("kind", "data", "state", "words"),
    [
        (Kind.DKIM, [f'"{KEY}"'], State.OK, "the key is there"),
        (Kind.DKIM, ['"k=rsa;p=MIIB" "ab cd;"'], State.OK, "the key is there"),
        (Kind.DKIM, [f'"{KEY}; t=y:s"'], State.OK, "t=y"),
        (Kind.DKIM, [], State.MISSING, "no such TXT record"),
        (Kind.DKIM, ['"v=DKIM1; k=rsa; p=MIIBabcX"'], State.WRONG, "not the key that signs"),
        (Kind.DKIM, ['"v=DKIM1; k=ed25519; p=MIIBabcd"'], State.WRONG, "not the key that signs"),
        (Kind.DKIM, ['"v=DKIM1; p="'], State.WRONG, "revoked"),
        (Kind.DKIM, ['"v=DKIM2; p=MIIBabcd"'], State.WRONG, "not a DKIM key"),
        (Kind.DKIM, ['"hello"'], State.WRONG, "not a DKIM key"),
        (Kind.DKIM, [f'"{KEY}"', f'"{KEY}x"'], State.WRONG, "2 records"),
        (Kind.DKIM, [f'"{KEY}; h=sha1"'], State.WRONG, "h does not allow"),
        (Kind.DKIM, [f'"{KEY}; s=other"'], State.WRONG, "s does not allow"),
        (Kind.SPF, ['"v=spf1 ip4:192.0.2.1 -all"'], State.OK, "v=spf1 ip4:192.0.2.1 -all"),
        (Kind.SPF, ['"google-site-verification=x"', '"V=SPF1 -all"'], State.OK, "V=SPF1 -all"),
        (Kind.SPF, ['"v=spf10 -all"', '"x"'], State.MISSING, "no such TXT record"),
        (Kind.SPF, ['"v=spf1 a -all"', '"v=spf1 mx -all"'], State.WRONG, "make one of them"),
        (Kind.SPF, ['"v=spf1 a +all"'], State.WRONG, "allows everybody"),
        (Kind.SPF, ['"v=spf1 all"'], State.WRONG, "allows everybody"),
        (Kind.DMARC, ['"v=DMARC1;p=reject"'], State.OK, "(of news.acme.example)"),
        (Kind.DMARC, ['"v = DMARC1 ; p = reject"'], State.OK, "(of news.acme.example)"),
        (Kind.DMARC, ['"v=DMARC10; p=none"'], State.MISSING, "no such TXT record"),
        (Kind.DMARC, ['"v=DMARC1; rua=mailto:a@b.example"'], State.WRONG, "p is missing"),
        (Kind.DMARC, ['"v=DMARC1; p=none"', '"v=DMARC1; p=reject"'], State.WRONG, "keep one"),
        (Kind.DMARC, [], State.MISSING, "no such TXT record"),
        (Kind.BOUNCES, ["20 b.example.", "10 a.example."], State.OK, "10 a.example."),
        (Kind.BOUNCES, ["0 ."], State.WRONG, "null MX"),
        (Kind.BOUNCES, [], State.MISSING, "no such MX record"),
        (Kind.LINKS, ["192.0.2.7"], State.OK, "192.0.2.7"),
        (Kind.LINKS, [], State.MISSING, "no such A record"),
    ],
)
def test_a_look(kind: Kind, data: list[str], state: State, words: str) -> None:
    name, type_, _ = NAMES[kind]
    found = looked_up(kind, {(name, type_): data} if data else {})
    assert found.state is state, found.text
    assert words in found.text
    assert found.text.isprintable(), "one line"


def test_the_policy_of_a_domain_above() -> None:
    zone = {("_dmarc.acme.example", "TXT"): ['"v=DMARC1; p=quarantine"']}
    found = looked_up(Kind.DMARC, zone)
    assert (found.state, found.text) == (State.OK, "v=DMARC1; p=quarantine (of acme.example)")


@pytest.mark.parametrize(("type_", "address"), [("A", "192.0.2.7"), ("AAAA", "2001:db8::7")])
def test_bounces_without_mx(type_: str, address: str) -> None:
    """Mail goes to the address then."""
    found = looked_up(Kind.BOUNCES, {("bounces.acme.example", type_): [address]})
    assert found.state is State.OK
    assert found.text == f"no MX record; mail goes to its address: {address}"


def test_a_null_mx_is_not_mended_by_an_address() -> None:
    zone = {("bounces.acme.example", "MX"): ["0 ."], ("bounces.acme.example", "A"): ["192.0.2.7"]}
    assert looked_up(Kind.BOUNCES, zone).state is State.WRONG


def test_links_by_ipv6_alone() -> None:
    zone = {("links.acme.example", "AAAA"): ["2001:db8::7"]}
    assert looked_up(Kind.LINKS, zone).state is State.OK


@pytest.mark.parametrize("kind", Kind)
def test_no_answer_is_no_verdict(kind: Kind) -> None:
    found = looked_up(kind, {}, refused=[NAMES[kind][0]])
    assert found.state is State.UNKNOWN
    assert found.text.startswith("no answer: ")
    assert found.text.isprintable()


@pytest.mark.parametrize("resolver", ["127.0.0.1:0", "127.0.0.1:65536", "a:b:c", "[::1", ":53"])
def test_a_resolver_that_is_none(resolver: str) -> None:
    with pytest.raises(UsageError, match="must look like"):
        asyncio.run(check([], resolver))


def test_a_resolver_with_no_address() -> None:
    with pytest.raises(UsageError, match=r"none\.invalid: "):
        asyncio.run(check([], "none.invalid"))
