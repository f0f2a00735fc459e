"""`lint --dns`, against a name server on loopback."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from campaignd.config import Bounces, Config, Links, load
from campaignd.demo.keys import DKIM, write_keys
from campaignd.dkim import load_keys
from campaignd.lint import Finding
from campaignd.lint.records import records
from tests.fakes.nameserver import NameServer
from tests.unit.lint.campaigns import campaign, ids

Zone = dict[tuple[str, str], list[str]]


@pytest.fixture
def config(tmp_path: Path) -> Config:
    write_keys(tmp_path)
    (tmp_path / "config.toml").touch()
    config = load(tmp_path / "config.toml")
    config.dkim = list(DKIM)
    config.links = Links(url="https://links.acme.example", key_files=["links.key"])
    config.bounces = Bounces(domain="bounces.acme.example")
    return config


@pytest.fixture
def zone(config: Config) -> Zone:
    """Nothing is wrong in it."""
    found: Zone = {
        ("acme.example", "TXT"): ['"other=1"', '"v=spf1 ip4:192.0.2.25 -all"'],
        ("bounces.acme.example", "TXT"): ['"v=spf1 ip4:192.0.2.25 -all"'],
        ("_dmarc.acme.example", "TXT"): ['"v=DMARC1; p=none"'],
        ("bounces.acme.example", "MX"): ["10 mail.acme.example."],
        ("links.acme.example", "A"): ["192.0.2.80"],
    }
    for key in load_keys(config).keys:
        text = key.record
        found[key.name, "TXT"] = [" ".join(f'"{text[at : at + 200]}"' for at in (0, 200, 400))]
    return found


def look(config: Config, zone: Zone, sender: str = "news@acme.example") -> list[Finding]:
    with NameServer(zone) as server:
        return asyncio.run(records(campaign(sender=sender), config, server.address))


def test_nothing_is_wrong(config: Config, zone: Zone) -> None:
    assert look(config, zone) == []


@pytest.mark.parametrize(
    ("name", "kind", "rule"),
    [
        ("s1._domainkey.acme.example", "TXT", "dkim-record"),
        ("e1._domainkey.acme.example", "TXT", "dkim-record"),
        ("acme.example", "TXT", "no-spf"),
        ("bounces.acme.example", "TXT", "no-spf"),
        ("_dmarc.acme.example", "TXT", "no-dmarc"),
        ("bounces.acme.example", "MX", "unreachable"),
        ("links.acme.example", "A", "unreachable"),
    ],
)
def test_one_record_is_missing(config: Config, zone: Zone, name: str, kind: str, rule: str) -> None:
    del zone[name, kind]
    [finding] = look(config, zone)
    assert (finding.rule.id, finding.where) == (rule, f"{name} {kind}")


def test_another_key(config: Config, zone: Zone) -> None:
    [place] = [place for place in zone if place[0].startswith("e1.")]
    zone[place] = ['"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="']
    assert ids(look(config, zone)) == ["dkim-record"]


def test_a_policy_below_the_domain_that_signs(config: Config, zone: Zone) -> None:
    """RFC 9989: the domain with the record is the organization."""
    below = "news@spring.acme.example"
    zone["spring.acme.example", "TXT"] = zone["acme.example", "TXT"]
    assert look(config, zone, below) == []
    zone["_dmarc.spring.acme.example", "TXT"] = zone["_dmarc.acme.example", "TXT"]
    assert look(config, zone, below) == []
    del zone["_dmarc.acme.example", "TXT"]
    [finding] = look(config, zone, below)
    assert (finding.rule.id, finding.where) == ("not-aligned", "_dmarc.acme.example")
    del zone["_dmarc.spring.acme.example", "TXT"]
    assert ids(look(config, zone, below)) == ["no-dmarc"]


def test_no_answer(config: Config, zone: Zone) -> None:
    with NameServer(zone, refused=["_dmarc.acme.example"]) as server:
        [finding] = asyncio.run(records(campaign(), config, server.address))
    assert (finding.rule.id, finding.rule.level.value) == ("dns-unknown", "warning")


def test_an_envelope_sender_of_its_own(config: Config, zone: Zone) -> None:
    spec = campaign(envelope_sender="back@returns.example")
    with NameServer(zone) as server:
        [finding] = asyncio.run(records(spec, config, server.address))
    assert (finding.rule.id, finding.where) == ("no-spf", "returns.example TXT")
