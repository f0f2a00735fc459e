"""Signed campaigns through the installed command, judged by dkimpy and by opendkim."""

from __future__ import annotations

import asyncio
import re
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from campaignd.config import Dkim, Relay
from tests.e2e.site import Site
from tests.fakes.nameserver import NameServer
from tests.fakes.relay import FakeRelay
from tests.integration.dkim import opendkim
from tests.unit.dkim.messages import content


class Setup:
    """A site whose relay keeps what it takes, and whose campaigns are signed."""

    def __init__(self, site: Site, relay: FakeRelay) -> None:
        self.site = site
        self.relay = relay
        rsa = generate_private_key(65_537, 2_048)
        self.key_file("rsa.pem", rsa.private_bytes(*_PEM))
        self.key_file("ed.pem", Ed25519PrivateKey.generate().private_bytes(*_PEM))
        self.config = self.configure("r1")

    def key_file(self, name: str, pem: bytes) -> Path:
        path = self.site.folder / name
        path.touch(0o600)
        path.write_bytes(pem)
        return path

    def configure(self, selector: str, rate: float | None = None) -> Path:
        """With an RSA and an Ed25519 key; `rate` in messages a second."""
        relay = Relay(
            name="kept", host="127.0.0.1", port=self.relay.port, tls="none", connections=4
        )
        keys = [
            Dkim(domain="acme.example", selector="e1", key_file="ed.pem"),
            Dkim(domain="acme.example", selector=selector, key_file="rsa.pem"),
        ]
        self.site.config = self.site.configure(relays=[relay], dkim=keys, rate=rate)
        return self.site.config

    def received(self) -> list[bytes]:
        return [content(taken.content + b".\r\n") for taken in self.relay.received]

    def records(self) -> dict[str, str]:
        """What `campaignd dns` says is to be published, as texts by name."""
        lines = self.site.ok("dns", "acme.example", "--json").json
        return {line["name"]: line["value"] for line in lines if line["type"] == "TXT"}


_PEM = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.fixture
def signing(site: Site) -> Iterator[Setup]:
    """The relay has a loop and a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    relay = FakeRelay()
    try:
        asyncio.run_coroutine_threadsafe(relay.__aenter__(), loop).result(10)
        yield Setup(site, relay)
        asyncio.run_coroutine_threadsafe(relay.stop(), loop).result(10)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def check_signed(setup: Setup, messages: list[bytes]) -> None:
    """Every message has an RSA and an Ed25519 signature that its receiver can verify."""
    records = setup.records()
    octets = {f"{name}.".encode(): text.encode() for name, text in records.items()}
    for message in messages:
        algorithms = re.findall(rb"^DKIM-Signature: v=1; a=([a-z0-9-]+);", message, re.MULTILINE)
        assert algorithms == [b"rsa-sha256", b"ed25519-sha256"]
        for number in (0, 1):
            assert dkim.DKIM(message).verify(
                number, dnsfunc=lambda name, timeout=0: octets.get(name)
            )
        [told] = re.findall(rb"\th=(.*?);", message[: message.index(b"DKIM", 4)], re.DOTALL)
        assert b"list-unsubscribe:" in told
        assert b"list-unsubscribe-post:" in told
    assert opendkim.verdicts(records, messages) == [""] * len(messages)


def test_a_campaign_and_a_test_message(signing: Setup) -> None:
    site = signing.site
    checked = [line["text"] for line in site.ok("check", "--json").json if "dkim" in line["what"]]
    assert checked == [
        "ed25519-sha256, 256 bits, signs for acme.example",
        "rsa-sha256, 2048 bits, signs for acme.example",
    ]
    campaign = site.enqueue(100)
    site.ok("send-test", "c.toml", "--to", "me@example.org", "--recipients", "r.csv")
    site.daemon()
    site.until_state(campaign, "finished")
    assert site.status(campaign)["counts"]["accepted"] == 100
    messages = signing.received()
    assert len(set(messages)) == 101
    check_signed(signing, messages)


def test_keys_are_changed_while_it_runs(signing: Setup) -> None:
    site = signing.site
    campaign = site.enqueue(400)
    daemon = site.daemon(signing.configure("r1", rate=100))
    site.until(lambda: len(signing.relay.received) > 10, "some are sent")
    (site.folder / "ed.pem").chmod(0o644)
    daemon.signal(signal.SIGHUP)
    site.until(lambda: daemon.events("reload-refused"), "a key that all can read is refused")
    [refused] = daemon.events("reload-refused")
    assert "chmod 600" in refused["error"]
    (site.folder / "ed.pem").chmod(0o600)
    signing.configure("r2", rate=200)
    daemon.signal(signal.SIGHUP)
    site.until_state(campaign, "finished")
    messages = signing.received()
    selectors = Counter(re.findall(rb"\ts=(r\d);", b"".join(messages)))
    assert selectors.total() == 400
    assert min(selectors[b"r1"], selectors[b"r2"]) > 10
    check_signed(signing, [message for message in messages if b"\ts=r2;" in message])


def test_a_clean_stop_leaves_nothing_that_is_half_done(signing: Setup) -> None:
    """What is composed and not signed when it stops is sent by the next one, once (R7)."""
    site = signing.site
    campaign = site.enqueue(600)
    daemon = site.daemon()
    site.until(lambda: len(signing.relay.received) > 50, "some are sent")
    daemon.signal(signal.SIGTERM)
    assert daemon.wait() == 0
    counts = site.status(campaign)["counts"]
    assert counts["accepted"] == len(signing.relay.received) < 600
    assert counts["unknown"] == 0
    site.daemon()
    site.until_state(campaign, "finished")
    receivers = Counter(taken.rcpt for taken in signing.relay.received)
    assert len(receivers) == receivers.total() == 600
    assert site.status(campaign)["maybe_duplicates"] == 0
    check_signed(signing, signing.received()[::10])


def test_a_key_that_cannot_be_used_stops_the_daemon_at_its_start(signing: Setup) -> None:
    """With the line that every other command has for it, too."""
    site = signing.site
    path = signing.key_file("rsa.pem", b"-----BEGIN PUBLIC KEY-----\n")
    line = f"key file {path}: a public key: name the file of the private one"
    assert site.refused("run") == line
    assert site.refused("dns", "acme.example") == line
    found = site.run("check", "--json")
    assert found.returncode == 1
    assert line in [each["text"] for each in found.json]


def test_the_dns_against_what_is_needed(signing: Setup) -> None:
    site = signing.site
    needed = site.ok("dns", "acme.example", "--json").json
    lines = site.ok("dns", "acme.example").stdout.splitlines()
    zone = {
        (line["name"], line["type"]): [
            " ".join(f'"{text}"' for text in line["strings"])
            if line["type"] == "TXT"
            else line["value"]
        ]
        for line in needed
    }
    assert [line.split(" IN ")[0].rstrip(".") for line in lines if " IN " in line] == [
        line["name"] for line in needed
    ]
    with NameServer(zone) as server:
        words = ("dns", "acme.example", "--check", "--resolver", server.address)
        found = site.ok(*words, "--json").json
        assert {line["state"] for line in found} == {"ok"}
    del zone["r1._domainkey.acme.example", "TXT"]
    with NameServer(zone, refused=["_dmarc.acme.example"]) as server:
        words = ("dns", "acme.example", "--check", "--resolver", server.address)
        done = site.run(*words)
    assert done.returncode == 1
    assert re.search(r"^FAIL  dkim +r1\._domainkey", done.stdout, re.MULTILINE)
    assert re.search(r"^\?{4}  dmarc +_dmarc", done.stdout, re.MULTILINE)
    assert done.stdout.count("ok  ") == len(needed) - 2
