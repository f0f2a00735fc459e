"""A Postfix that relays only for clients who log in, checked by Cyrus SASL."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from campaignd.model import Outcome
from campaignd.sandbox.binaries import search_path
from tests.fakes.certificates import Authority
from tests.fakes.jobs import make_job
from tests.fakes.loop import run, until
from tests.integration.net.pools import relay, rig
from tests.integration.postfix.arrivals import arrivals
from tests.integration.postfix.instance import Postfix, running
from tests.integration.postfix.settings import HOSTNAME

PASSWORD = "s3cret/pass+word =%wörd"
MECHANISMS = ["PLAIN", "LOGIN", "CRAM-MD5"]


@pytest.fixture(scope="module")
def server(authority: Authority) -> Iterator[Postfix]:
    """A service for each mechanism, which offers only that; over STARTTLS, as they should."""
    with running(
        {mechanism: {"smtpd_sasl_path": mechanism} for mechanism in MECHANISMS},
        {
            "smtpd_tls_cert_file": str(authority.issue("127.0.0.1")),
            "smtpd_tls_security_level": "encrypt",
            "smtpd_tls_auth_only": "yes",
            "smtpd_sasl_auth_enable": "yes",
            "smtpd_sasl_local_domain": HOSTNAME,
            "smtpd_sasl_authenticated_header": "yes",
            "cyrus_sasl_config_path": "$config_directory/sasl",
            "smtpd_relay_restrictions": "permit_sasl_authenticated, reject",
        },
        prepare=add_user,
    ) as postfix:
        yield postfix


def add_user(etc: Path) -> None:
    """Gives Cyrus SASL its one user, and its settings for each mechanism."""
    saslpasswd = shutil.which("saslpasswd2", path=search_path())
    assert saslpasswd, "saslpasswd2 not found: install with `apt-get install sasl2-bin`"
    folder = etc / "sasl"
    folder.mkdir()
    users = folder / "users"
    subprocess.run(
        [saslpasswd, "-c", "-p", "-f", str(users), "-u", HOSTNAME, "alice"],
        input=PASSWORD,
        text=True,
        timeout=30,
        check=True,
    )
    for mechanism in MECHANISMS:
        (folder / f"{mechanism}.conf").write_text(
            "pwcheck_method: auxprop\nauxprop_plugin: sasldb\n"
            f"sasldb_path: {users}\nmech_list: {mechanism}\n"
        )
    for path in (folder, *folder.iterdir()):
        shutil.chown(path, "postfix")


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    file = tmp_path / "secret"
    file.write_text(PASSWORD + "\n")
    return file


def settings(authority: Authority, **more: Any) -> dict[str, Any]:
    return {"tls": "starttls-required", "tls_ca_file": str(authority.file), **more}


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_messages_arrive_for_who_logs_in(
    server: Postfix, authority: Authority, secret: Path, mechanism: str
) -> None:
    recipients = [f"user{n}@{mechanism.lower()}.example" for n in range(20)]
    given = settings(authority, username="alice", password_file=str(secret), connections=4)

    async def main() -> None:
        jobs = [make_job(n, recipient=address.encode()) for n, address in enumerate(recipients)]
        async with rig(relay(server.port(mechanism), **given)) as r:
            assert await r.outcomes(*jobs) == [Outcome.ACCEPTED] * len(jobs)
            await r.pool.drain(5)

    run(main())
    found = [one for one in arrivals(server) if one.recipient in recipients]
    assert sorted(one.recipient for one in found) == sorted(recipients)
    assert {one.protocol for one in found} == {"ESMTPSA"}
    assert all("(Authenticated sender: alice" in one.received for one in found)


def test_others_are_refused(server: Postfix, authority: Authority) -> None:
    """What makes the test above one of AUTH."""

    async def main() -> None:
        async with rig(relay(server.port("PLAIN"), **settings(authority))) as r:
            (verdict,) = await r.send(make_job(1, recipient=b"user@refused.example"))
            assert verdict.outcome is not Outcome.ACCEPTED
            assert "Access denied" in verdict.text

    run(main())
    assert not [one for one in arrivals(server) if one.recipient.endswith("@refused.example")]


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_a_wrong_password_costs_no_message_and_stays_secret(
    server: Postfix, authority: Authority, tmp_path: Path, mechanism: str
) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("not-" + PASSWORD)
    given = settings(authority, username="alice", password_file=str(wrong))

    async def main() -> None:
        job = make_job(1, recipient=b"user@wrong.example")
        async with rig(relay(server.port(mechanism), **given), [job]) as r:
            await until(lambda: r.pool.relays()[0].state == "backoff", "the relay counts as down")
            reason = r.pool.relays()[0].last_error
            assert "535" in reason
            assert PASSWORD not in reason
            assert list(r.source.jobs) == [job]
            assert r.reports.verdicts == {}

    run(main())
