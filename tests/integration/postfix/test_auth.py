"""A Postfix that relays only for clients who log in, checked by Cyrus SASL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from campaignd.model import Outcome
from tests.fakes.certificates import Authority
from tests.fakes.jobs import make_job
from tests.fakes.loop import run, until
from tests.integration.net.pools import relay, rig
from tests.integration.postfix import sasl
from tests.integration.postfix.arrivals import arrivals
from tests.integration.postfix.instance import Postfix, running


@pytest.fixture(scope="module")
def server(authority: Authority) -> Iterator[Postfix]:
    """A service for each mechanism, which offers only that; over STARTTLS, as they should."""
    certificate = {"smtpd_tls_cert_file": str(authority.issue("127.0.0.1"))}
    with running(
        {mechanism: {"smtpd_sasl_path": mechanism} for mechanism in sasl.MECHANISMS},
        {**sasl.SETTINGS, **sasl.SHARED, **certificate},
        prepare=sasl.add_user,
    ) as postfix:
        yield postfix


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    file = tmp_path / "secret"
    file.write_text(sasl.PASSWORD + "\n")
    return file


def settings(authority: Authority, **more: Any) -> dict[str, Any]:
    return {"tls": "starttls-required", "tls_ca_file": str(authority.file), **more}


@pytest.mark.parametrize("mechanism", sasl.MECHANISMS)
def test_messages_arrive_for_who_logs_in(
    server: Postfix, authority: Authority, secret: Path, mechanism: str
) -> None:
    recipients = [f"user{n}@{mechanism.lower()}.example" for n in range(20)]
    given = settings(authority, username=sasl.USER, password_file=str(secret), connections=4)

    async def main() -> None:
        jobs = [make_job(n, recipient=address.encode()) for n, address in enumerate(recipients)]
        async with rig(relay(server.port(mechanism), **given)) as r:
            assert await r.outcomes(*jobs) == [Outcome.ACCEPTED] * len(jobs)
            await r.pool.drain(5)

    run(main())
    found = [one for one in arrivals(server) if one.recipient in recipients]
    assert sorted(one.recipient for one in found) == sorted(recipients)
    assert {one.protocol for one in found} == {"ESMTPSA"}
    assert all(f"(Authenticated sender: {sasl.USER}" in one.received for one in found)


def test_others_are_refused(server: Postfix, authority: Authority) -> None:
    """What makes the test above one of AUTH."""

    async def main() -> None:
        async with rig(relay(server.port("PLAIN"), **settings(authority))) as r:
            (verdict,) = await r.send(make_job(1, recipient=b"user@refused.example"))
            assert verdict.outcome is not Outcome.ACCEPTED
            assert "Access denied" in verdict.text

    run(main())
    assert not [one for one in arrivals(server) if one.recipient.endswith("@refused.example")]


@pytest.mark.parametrize("mechanism", sasl.MECHANISMS)
def test_a_wrong_password_costs_no_message_and_stays_secret(
    server: Postfix, authority: Authority, tmp_path: Path, mechanism: str
) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("not-" + sasl.PASSWORD)
    given = settings(authority, username=sasl.USER, password_file=str(wrong))

    async def main() -> None:
        job = make_job(1, recipient=b"user@wrong.example")
        async with rig(relay(server.port(mechanism), **given), [job]) as r:
            await until(lambda: r.pool.relays()[0].state == "backoff", "the relay counts as down")
            reason = r.pool.relays()[0].last_error
            assert "535" in reason
            assert sasl.PASSWORD not in reason
            assert list(r.source.jobs) == [job]
            assert r.reports.verdicts == {}

    run(main())
