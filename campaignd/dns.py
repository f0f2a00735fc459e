"""What the DNS has to say for a domain that mail is sent from: the records, and whether they are
there.

The records follow from the configuration. Where it does not tell an address, the record is an
example, and any of its kind that is found will do.
"""

from __future__ import annotations

import asyncio
import enum
import ipaddress
import re
import socket
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import dns.asyncresolver
import dns.exception
import dns.resolver

from campaignd.config import Config, Relay
from campaignd.dkim import SigningKey, load_keys
from campaignd.dkim.keyring import nearest
from campaignd.errors import UsageError

STRING_OCTETS: Final = 255
"""Of one character string at most; a TXT record has several (RFC 1035, 3.3)."""

LOOKUP_SECONDS: Final = 5.0
"""For one question, with repetitions: as long as resolvers wait by default."""

DNS_PORT: Final = 53

Answers = Mapping[tuple[str, str], Sequence[str]]


class Kind(enum.StrEnum):
    """What a record is for."""

    DKIM = "dkim"
    SPF = "spf"
    DMARC = "dmarc"
    BOUNCES = "bounces"
    """Mail to [bounces] domain comes to us."""
    LINKS = "links"
    """[links] url leads to us."""


class State(enum.StrEnum):
    """What a look into the DNS came to."""

    OK = "ok"
    MISSING = "missing"
    WRONG = "wrong"
    UNKNOWN = "unknown"
    """Nobody answered."""


class Record(NamedTuple):
    """A record to publish."""

    kind: Kind
    name: str
    type: str
    """TXT, MX or A."""
    value: str
    """Of TXT the whole text; see `strings`."""
    about: str
    """What it is, in a few words."""

    @property
    def strings(self) -> list[str]:
        """A text in the pieces that a TXT record is made of."""
        return [
            self.value[at : at + STRING_OCTETS] for at in range(0, len(self.value), STRING_OCTETS)
        ]

    @property
    def line(self) -> str:
        """As a zone file has it (RFC 1035, 5.1)."""
        data = self.value
        if self.type == "TXT":
            data = " ".join(f'"{string}"' for string in self.strings)
        return f"{self.name}. IN {self.type} {data}"


class Checked(NamedTuple):
    """A record, and what the DNS has in its place."""

    record: Record
    state: State
    text: str
    """What is there, or what is wrong and what to change."""


def records(config: Config, domain: str, keys: Iterable[SigningKey] | None = None) -> list[Record]:
    """What to publish so that mail from `domain`, a name in ASCII, is authenticated and its
    bounces and links come back. `keys` sign it; by default those of the configuration that do
    for any account.

    Raises ConfigError for a key that cannot be read.
    """
    domain = domain.lower()
    if keys is None:
        keys = nearest(load_keys(config).keys, domain)
    found = [
        Record(
            Kind.DKIM, key.name, "TXT", key.record, f"public key: {key.algorithm}, {key.bits} bits"
        )
        for key in keys
    ]
    bounces = (config.bounces.domain or domain).lower()
    spf = _spf(config.relay, domain)
    found += [
        Record(Kind.SPF, sender, "TXT", spf, "who sends for it; name all addresses that do")
        for sender in dict.fromkeys((domain, bounces))
    ]
    found.append(
        Record(
            Kind.DMARC,
            f"_dmarc.{domain}",
            "TXT",
            f"v=DMARC1; p=none; rua=mailto:dmarc@{domain}",
            "policy to begin with, and who gets reports",
        )
    )
    if config.bounces.domain is not None:
        about = "whose mail server hands mail to `campaignd receive`"
        found.append(Record(Kind.BOUNCES, bounces, "MX", f"10 mail.{domain}.", about))
    host = urlsplit(config.links.url or "").hostname
    if host is not None and not _is_address(host):
        about = "the proxy before `campaignd web`; or a CNAME"
        found.append(Record(Kind.LINKS, host, "A", "192.0.2.1", about))
    return found


async def check(records: Sequence[Record], resolver: str | None = None) -> list[Checked]:
    """Looks all of them up. `resolver` is HOST or HOST:PORT; None for the system's.

    Raises UsageError when there is no such resolver.
    """
    asked = await asyncio.to_thread(_resolver, resolver)
    return list(await asyncio.gather(*(_check(record, asked) for record in records)))


async def _check(record: Record, resolver: dns.asyncresolver.Resolver) -> Checked:
    try:
        match record.kind:
            case Kind.DKIM:
                found = _dkim(record, await _ask(resolver, record.name, "TXT"))
            case Kind.SPF:
                found = _spf_there(await _ask(resolver, record.name, "TXT"))
            case Kind.DMARC:
                found = await _dmarc(record.name, resolver)
            case Kind.BOUNCES:
                found = await _mx(record.name, resolver)
            case Kind.LINKS:
                found = await _addresses(record.name, resolver)
    except dns.exception.DNSException as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        return Checked(record, State.UNKNOWN, f"no answer: {reason}")
    state, text = found
    if state is State.MISSING:
        text = f"no such {record.type} record: publish the one that `campaignd dns` prints"
    return Checked(record, state, text)


# What is found, against what should be there.

Found = tuple[State, str]


def _dkim(record: Record, texts: Sequence[str]) -> Found:
    """RFC 6376, 3.6.1 and 3.6.2.2."""
    if not texts:
        return State.MISSING, ""
    if len(texts) > 1:
        return State.WRONG, f"{len(texts)} records where one may be: remove the others"
    mine, its = _tags(record.value), _tags(texts[0])
    if its.get("v", "DKIM1") != "DKIM1" or "p" not in its:
        return State.WRONG, "not a DKIM key: publish the one that `campaignd dns` prints"
    if not its["p"]:
        return State.WRONG, "the key is revoked (p is empty): sign with another selector"
    if its.get("k", "rsa").lower() != mine["k"] or its["p"] != mine["p"]:
        return State.WRONG, "not the key that signs: publish the one that `campaignd dns` prints"
    if "sha256" not in its.get("h", "sha256").lower().split(":"):
        return State.WRONG, "h does not allow sha256: remove h"
    if not {"*", "email"} & set(its.get("s", "*").lower().split(":")):
        return State.WRONG, "s does not allow email: remove s"
    testing = "y" in its.get("t", "").lower().split(":")
    return State.OK, "the key is there" + (" (t=y: some ignore it as a test)" if testing else "")


def _spf_there(texts: Sequence[str]) -> Found:
    """RFC 7208, 4.5."""
    found = [text for text in texts if re.match(r"v=spf1(?: |\Z)", text, re.IGNORECASE)]
    if not found:
        return State.MISSING, ""
    if len(found) > 1:
        return State.WRONG, f"{len(found)} SPF records, which counts as an error: make one of them"
    if re.search(r"(?: |\+)all(?: |\Z)", found[0], re.IGNORECASE):
        return State.WRONG, f"{found[0]}: allows everybody to send: end it with ~all"
    return State.OK, found[0]


async def _dmarc(name: str, resolver: dns.asyncresolver.Resolver) -> Found:
    """That of the domain, else of one above it (RFC 9989, 4.10)."""
    domain = name.removeprefix("_dmarc.")
    while "." in domain:
        texts = await _ask(resolver, f"_dmarc.{domain}", "TXT")
        found = [text for text in texts if re.match(r"v\s*=\s*DMARC1\s*(?:;|\Z)", text)]
        if len(found) > 1:
            return State.WRONG, f"{len(found)} DMARC records of {domain}: keep one"
        if found:
            policy = _tags(found[0]).get("p", "").lower()
            if policy not in ("none", "quarantine", "reject"):
                return State.WRONG, f"{found[0]}: p is missing or unknown: write p=none"
            return State.OK, f"{found[0]} (of {domain})"
        domain = domain.partition(".")[2]
    return State.MISSING, ""


async def _mx(name: str, resolver: dns.asyncresolver.Resolver) -> Found:
    """A domain without MX takes mail at its address (RFC 5321, 5.1)."""
    exchanges = await _ask(resolver, name, "MX")
    if any(exchange.endswith(" .") for exchange in exchanges):
        return State.WRONG, "a null MX: it takes no mail (RFC 7505): name a host"
    if exchanges:
        return State.OK, ", ".join(exchanges)
    state, addresses = await _addresses(name, resolver)
    return state, f"no MX record; mail goes to its address: {addresses}"


async def _addresses(name: str, resolver: dns.asyncresolver.Resolver) -> Found:
    found = [*await _ask(resolver, name, "A"), *await _ask(resolver, name, "AAAA")]
    return (State.OK if found else State.MISSING), ", ".join(found)


def _tags(text: str) -> dict[str, str]:
    """A list of tags (RFC 6376, 3.2), without white space in their values."""
    pairs = (tag.partition("=") for tag in text.split(";"))
    return {name.strip(): re.sub(r"\s", "", value) for name, _, value in pairs if name.strip()}


# The way to the records.


def _spf(relays: Sequence[Relay], domain: str) -> str:
    """What the configuration tells about the addresses that send: those of the relays, or what
    relays on this machine call themselves."""
    senders = []
    for relay in relays:
        host = relay.host.strip("[]")
        if not _is_address(host) and host != "localhost":
            senders.append(f"a:{host}")
        elif host != "localhost" and (address := ipaddress.ip_address(host)).is_global:
            senders.append(f"ip{address.version}:{address}")
        else:
            senders.append(f"a:{relay.helo or f'mail.{domain}'}")
    return " ".join(["v=spf1", *dict.fromkeys(senders or [f"a:mail.{domain}"]), "~all"])


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _resolver(given: str | None) -> dns.asyncresolver.Resolver:
    try:
        resolver = dns.asyncresolver.Resolver(configure=given is None)
    except dns.resolver.NoResolverConfiguration:
        raise UsageError("this system names no resolver: use --resolver HOST") from None
    resolver.lifetime = LOOKUP_SECONDS
    if given is not None:
        match = re.fullmatch(r"(\[[^\[\]]+\]|[^\[\]:]+)(?::([0-9]{1,5}))?", given)
        try:
            if match is None or not 0 < int(match[2] or DNS_PORT) < 65_536:
                raise UsageError(f"--resolver {given}: must look like 192.0.2.53 or 192.0.2.53:53")
            info = socket.getaddrinfo(match[1].strip("[]"), None, type=socket.SOCK_DGRAM)
        except OSError as error:
            raise UsageError(f"--resolver {given}: {error.strerror}") from None
        resolver.nameservers = [str(info[0][4][0])]
        resolver.port = int(match[2] or DNS_PORT)
    return resolver


async def _ask(resolver: dns.asyncresolver.Resolver, name: str, kind: str) -> list[str]:
    """The values of all records; none if there are none. Raises DNSException without an answer."""
    try:
        answer = await resolver.resolve(f"{name}.", kind)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return []
    if kind == "TXT":
        return [b"".join(data.strings).decode("utf-8", "replace") for data in answer]
    return [data.to_text() for data in answer]
