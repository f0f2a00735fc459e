"""Whole campaigns: the installed command, a daemon, and a Postfix that wants TLS or AUTH."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from markupsafe import escape

from campaignd.config import Relay
from campaignd.sandbox.box import Sandbox
from tests.e2e.site import Site
from tests.fakes.certificates import Authority
from tests.integration.postfix import sasl
from tests.integration.postfix.arrivals import Arrival, by_recipient
from tests.integration.postfix.instance import Postfix, running

CAMPAIGN = """\
name = "Frühling"
account = "acme"
from = "Käthe von Acme <news@acme.example>"
subject = "Grüße, {{ name }}: {{ note }}"
text = "letter.txt"
html = "letter.html"
[headers]
"X-Code" = "{{ code }}"
"""
TEXT = "Hallo {{ name }},\n{{ note }}\nschöne Grüße, {{ code }}\n"
HTML = "<p>Hallo {{ name }},</p>\n<p>{{ note }}</p>\n<p>{{ code }}</p>\n"

NAMES = ["Ann", "Jörg Müller", "🌷 Tulpe", "עמית", 'O\'Neil, "Bob" <b>', "x" * 300]
NOTES = [".", "..", ".hidden", "plain words", "a & b < c", "w" * 1_200, "=?utf-8?q?no?=", "Ω ≠ ö"]
ADDRESSES = [
    ("u{n}@{domain}", "u{n}@{domain}"),
    ("Max.Muster+{n}@{domain}", "Max.Muster+{n}@{domain}"),
    ("jörg{n}@{domain}", "jörg{n}@{domain}"),
    ("idn{n}@bücher.{domain}", "idn{n}@xn--bcher-kva.{domain}"),
]
"""As the audience has them, and as they are after the domain was put into ASCII."""


class Person(NamedTuple):
    """One recipient and what is to be in their message."""

    given: str
    address: str
    name: str
    note: str
    code: str


@pytest.fixture(scope="module")
def server(authority: Authority) -> Iterator[Postfix]:
    """Wants TLS on both services, and a login on one of them."""
    with running(
        {
            "starttls": {"smtpd_tls_security_level": "encrypt"},
            "login": {**sasl.SETTINGS, "smtpd_sasl_path": sasl.MECHANISMS[0]},
        },
        {**sasl.SHARED, "smtpd_tls_cert_file": str(authority.issue("127.0.0.1"))},
        prepare=sasl.add_user,
    ) as postfix:
        yield postfix


@pytest.fixture
def site(sandbox: Sandbox, database: str, tmp_path: Path) -> Iterator[Site]:
    with Site(sandbox, database, tmp_path) as built:
        yield built


def settings(service: str, authority: Authority, folder: Path) -> dict[str, Any]:
    """Of the relay."""
    tls = {"tls": "starttls-required", "tls_ca_file": str(authority.file)}
    if service == "starttls":
        return tls
    secret = folder / "relay-password"
    secret.write_text(sasl.PASSWORD + "\n")
    return {**tls, "username": sasl.USER, "password_file": str(secret)}


@pytest.mark.parametrize(("service", "protocol"), [("starttls", ""), ("login", "A")])
def test_every_message_arrives_as_it_was_meant(
    site: Site, server: Postfix, authority: Authority, service: str, protocol: str
) -> None:
    relay = Relay(
        name="postfix",
        host="127.0.0.1",
        port=server.port(service),
        connections=8,
        **settings(service, authority, site.folder),
    )
    site.config = site.configure(relays=[relay])
    site.daemon()
    first = people(240, f"first.{service}.example")
    ledger = send(site, first)
    check(first, ledger, server, protocol)

    # By now the daemon knows that the relay takes 8BITMIME.
    second = people(80, f"second.{service}.example")
    ledger = send(site, second)
    arrived = check(second, ledger, server, protocol)
    encodings = {
        str(body(arrived[person.address].message, "plain")["Content-Transfer-Encoding"])
        for person in second
        if len(person.note) < 900
    }
    assert encodings == {"8bit"}


def people(count: int, domain: str) -> list[Person]:
    """Every address with every name and every note, in the end."""
    made = []
    for n in range(count):
        given, address = (form.format(n=n, domain=domain) for form in ADDRESSES[n % len(ADDRESSES)])
        name, note = NAMES[n % len(NAMES)], NOTES[n // len(NAMES) % len(NOTES)]
        made.append(Person(given, address, name, note, f"code-{n}"))
    return made


def send(site: Site, recipients: list[Person]) -> dict[str, dict[str, Any]]:
    """Runs a campaign to its end; its ledger by address."""
    for name, text in (("c.toml", CAMPAIGN), ("letter.txt", TEXT), ("letter.html", HTML)):
        (site.folder / name).write_text(text)
    with (site.folder / "people.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["email", "name", "note", "code"])
        rows.writerows((who.given, who.name, who.note, who.code) for who in recipients)
    campaign = int(site.ok("enqueue", "c.toml", "--recipients", "people.csv").stdout)
    counts = site.until_state(campaign, "finished")["counts"]
    assert counts["accepted"] == counts["total"] == len(recipients), json.dumps(counts)
    lines = site.outcomes(campaign)
    assert len(lines) == len(recipients)
    return {line["address"]: line for line in lines}


def check(
    recipients: list[Person], ledger: dict[str, dict[str, Any]], server: Postfix, protocol: str
) -> dict[str, Arrival]:
    """Everybody got one message, the right one, and the ledger has the number Postfix gave it."""
    arrived = by_recipient(server)
    for person in recipients:
        arrival = arrived[person.address]
        utf8 = "" if person.address.isascii() else "UTF8"
        start = "SMTPS" if utf8 else "ESMTPS"
        assert arrival.protocol == f"{utf8}{start}{protocol}"
        assert arrival.sender == "news@acme.example"
        assert_meant(arrival, person)
        line = ledger[person.address]
        assert (line["code"], line["relay"], line["attempt"]) == (250, "postfix", 1)
        assert re.search(r"queued as (\S+)", line["response"])[1] == arrival.queue_id  # type: ignore[index]
    return arrived


def assert_meant(arrival: Arrival, person: Person) -> None:
    """The message says to `person` what the campaign says."""
    message = arrival.message
    assert message.defects == []
    assert message["Subject"] == f"Grüße, {person.name}: {person.note}"
    assert message["X-Code"] == person.code
    assert str(message["From"]) == "Käthe von Acme <news@acme.example>"
    assert arrival.headers["To"].addresses[0].addr_spec == person.address
    note = person.note
    assert text(message, "plain") == (
        f"Hallo {person.name},\n{note}\nschöne Grüße, {person.code}\n"
    )
    assert text(message, "html") == (
        f"<p>Hallo {escape(person.name)},</p>\n<p>{escape(note)}</p>\n<p>{person.code}</p>\n"
    )


def body(message: EmailMessage, kind: str) -> EmailMessage:
    part = message.get_body((kind,))
    assert isinstance(part, EmailMessage)
    return part


def text(message: EmailMessage, kind: str) -> str:
    """A part's text; within base64 its line ends are CRLF (RFC 2046, 4.1.1)."""
    return str(body(message, kind).get_content()).replace("\r\n", "\n")
