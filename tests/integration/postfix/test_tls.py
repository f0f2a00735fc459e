"""Messages through a real Postfix with every setting of `tls`, and certificates that are wrong."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from campaignd.config import Config
from campaignd.errors import RelayOutage
from campaignd.model import Outcome
from campaignd.net.connect import Connector
from tests.fakes.certificates import Authority
from tests.fakes.jobs import make_job
from tests.fakes.loop import run, until
from tests.integration.net.pools import relay, rig
from tests.integration.postfix.arrivals import arrivals
from tests.integration.postfix.instance import Postfix, running

HOST = "localhost"
CHECKED = ["starttls-required", "starttls", "implicit"]
WRONG = {"other-ca": "certificate", "other-name": "match", "expired": "expired"}
"""Certificates, and a word of what is said about them."""


@pytest.fixture(scope="module")
def server(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postfix]:
    """Services named by certificate and form of TLS, one without TLS, and one that insists."""
    certificates = {
        "good": authority.issue(HOST),
        "other-ca": Authority(tmp_path_factory.mktemp("other"), "other").issue(HOST),
        "other-name": authority.issue("mail.example"),
        "expired": authority.issue(HOST, expired=True),
    }
    services: dict[str, dict[str, str]] = {"plain": {}}
    for name, certificate in certificates.items():
        shown = {"smtpd_tls_cert_file": str(certificate)}
        services[f"{name} starttls"] = {**shown, "smtpd_tls_security_level": "may"}
        services[f"{name} implicit"] = {**shown, "smtpd_tls_wrappermode": "yes"}
    insists = {**services["good starttls"], "smtpd_tls_security_level": "encrypt"}
    with running({**services, "insists": insists}) as postfix:
        yield postfix


def service(certificate: str, tls: str) -> str:
    return f"{certificate} {'implicit' if tls == 'implicit' else 'starttls'}"


def settings(authority: Authority, tls: str, **more: Any) -> dict[str, Any]:
    return {"host": HOST, "tls": tls, "tls_ca_file": str(authority.file), **more}


async def outage(port: int, **settings: Any) -> str:
    config = Config(relay=[relay(port, **settings)])
    with pytest.raises(RelayOutage) as caught:
        await Connector(config, config.relay[0], host="client.example").connect()
    return str(caught.value)


def deliver(postfix: Postfix, service: str, domain: str, **settings: Any) -> set[str]:
    """The protocols with which 20 messages to a domain arrived, each once."""
    recipients = [f"user{n}@{domain}" for n in range(20)]

    async def main() -> None:
        jobs = [make_job(n, recipient=address.encode()) for n, address in enumerate(recipients)]
        async with rig(relay(postfix.port(service), connections=4, **settings)) as r:
            assert await r.outcomes(*jobs) == [Outcome.ACCEPTED] * len(jobs)
            await r.pool.drain(5)

    run(main())
    found = [arrival for arrival in arrivals(postfix) if arrival.recipient.endswith("@" + domain)]
    assert sorted(arrival.recipient for arrival in found) == sorted(recipients)
    return {arrival.protocol for arrival in found}


@pytest.mark.parametrize("tls", CHECKED)
def test_messages_arrive_over_tls(server: Postfix, authority: Authority, tls: str) -> None:
    domain = f"{tls}.example"
    assert deliver(server, service("good", tls), domain, **settings(authority, tls)) == {"ESMTPS"}


def test_tls_that_the_server_demands(server: Postfix, authority: Authority) -> None:
    given = settings(authority, "starttls")
    assert deliver(server, "insists", "insists.example", **given) == {"ESMTPS"}


@pytest.mark.parametrize("tls", ["none", "starttls"])
def test_messages_arrive_without_tls(server: Postfix, authority: Authority, tls: str) -> None:
    given = settings(authority, tls)
    assert deliver(server, "plain", f"{tls}-plain.example", **given) == {"ESMTP"}


def test_none_means_none_even_where_tls_is_offered(server: Postfix) -> None:
    assert deliver(server, "good starttls", "none.example", tls="none") == {"ESMTP"}


def test_required_tls_that_is_not_offered(server: Postfix, authority: Authority) -> None:
    async def main() -> None:
        reason = await outage(server.port("plain"), **settings(authority, "starttls-required"))
        assert "does not offer STARTTLS" in reason

    run(main())


@pytest.mark.parametrize("tls", CHECKED)
@pytest.mark.parametrize("certificate", WRONG)
def test_a_wrong_certificate_is_an_outage_and_nothing_is_sent(
    server: Postfix, authority: Authority, certificate: str, tls: str
) -> None:
    port = server.port(service(certificate, tls))
    given = settings(authority, tls)
    domain = f"{certificate}-{tls}.example"

    async def main() -> None:
        reason = await outage(port, **given)
        assert reason.startswith("TLS: ")
        assert WRONG[certificate] in reason
        job = make_job(1, recipient=b"user@" + domain.encode())
        async with rig(relay(port, **given), [job]) as r:
            await until(lambda: r.pool.relays()[0].state == "backoff", "the relay counts as down")
            (status,) = r.pool.relays()
            assert (status.last_error, status.sessions) == (reason, 0)
            assert list(r.source.jobs) == [job]
            assert r.reports.verdicts == {}

    run(main())
    assert server.logged(f"@{domain}>") == []
    assert deliver(server, service(certificate, tls), domain, **given, tls_verify=False)


def test_a_server_that_insists_on_tls_costs_a_careless_sender_no_message(server: Postfix) -> None:
    """530 to MAIL is about us, not about the recipient, who stays undecided."""

    async def main() -> None:
        job = make_job(1)
        async with rig(relay(server.port("insists"), tls="none"), [job]) as r:
            await until(lambda: r.pool.relays()[0].state == "backoff", "the relay counts as down")
            assert "530 5.7.0 Must issue a STARTTLS" in r.pool.relays()[0].last_error
            assert list(r.source.jobs) == [job]
            assert r.reports.verdicts == {}

    run(main())
