"""What `check` finds out about relays, and what it advises."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import uvloop

from campaignd import checks
from campaignd.checks import Finding
from campaignd.compose.spec import CampaignSpec
from campaignd.config import Config, Relay
from campaignd.errors import RelayOutage, UsageError
from campaignd.model import Outcome
from campaignd.preview import Picked, compose
from campaignd.sandbox.auth import Credentials
from campaignd.sandbox.box import Sandbox
from campaignd.sandbox.policy import Fate, Rule, SinkPolicy
from campaignd.sandbox.sink import Sink
from campaignd.sandbox.sinkprocess import SinkProcess
from campaignd.single import deliver
from tests.fakes.certificates import Authority

SPEC = CampaignSpec(
    name="Test",
    account="acme",
    sender="news@acme.example",
    envelope_sender="bounce@acme.example",
    subject="Hi",
    text="Hello {{ email }}",
)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Vouches for 127.0.0.1."""
    made = Authority(tmp_path)
    made.server("127.0.0.1")
    return made


def found(sandbox: Sandbox, folder: Path, *, secure: bool = True, **settings: Any) -> Finding:
    """What is found out about a sink; a `secure` one offers STARTTLS and insists on AUTH if the
    relay has a username."""
    (folder / "right").write_text("right\n")
    (folder / "wrong").write_text("wrong\n")
    certificate = folder / "127.0.0.1-False.pem" if secure else None
    credentials = Credentials("u", "right") if "username" in settings else None
    with SinkProcess(
        certificate=certificate, credentials=credentials, supervisor=sandbox.supervisor
    ) as sink:
        relay = Relay(name="mx1", host="127.0.0.1", port=sink.port, **settings)
        return asyncio.run(checks.relay(Config(path=folder / "config.toml"), relay))


def test_a_relay_with_tls_and_auth(sandbox: Sandbox, authority: Authority, tmp_path: Path) -> None:
    result = found(
        sandbox,
        tmp_path,
        tls="starttls-required",
        tls_ca_file=str(authority.file),
        username="u",
        password_file="right",
    )
    assert result.works
    assert "TLSv1.3, logged in, offers PIPELINING" in result.text
    assert result.warning == ""


def test_a_wrong_password(sandbox: Sandbox, authority: Authority, tmp_path: Path) -> None:
    result = found(
        sandbox,
        tmp_path,
        tls="starttls-required",
        tls_ca_file=str(authority.file),
        username="u",
        password_file="wrong",
    )
    assert not result.works
    assert result.text.endswith("check username and password_file")
    assert "wrong" not in result.text.removesuffix("check username and password_file")


def test_a_certificate_that_nobody_vouches_for(
    sandbox: Sandbox, authority: Authority, tmp_path: Path
) -> None:
    result = found(sandbox, tmp_path, tls="starttls")
    assert not result.works
    assert result.text.endswith("mend the relay's certificate, or set tls_ca_file")


def test_no_check_of_the_certificate_is_warned_of(
    sandbox: Sandbox, authority: Authority, tmp_path: Path
) -> None:
    result = found(sandbox, tmp_path, tls="starttls", tls_verify=False)
    assert result.works
    assert "anyone may pretend" in result.warning


def test_clear_text_is_warned_of(sandbox: Sandbox, tmp_path: Path) -> None:
    result = found(sandbox, tmp_path, secure=False, tls="starttls")
    assert result.works
    assert "clear text" in result.warning
    assert found(sandbox, tmp_path, secure=False, tls="none").warning == ""


def test_starttls_that_is_not_offered(sandbox: Sandbox, tmp_path: Path) -> None:
    result = found(sandbox, tmp_path, secure=False, tls="starttls-required")
    assert not result.works
    assert "choose another tls" in result.text


def test_tls_where_none_is_spoken(sandbox: Sandbox, tmp_path: Path) -> None:
    result = found(sandbox, tmp_path, secure=False, tls="implicit")
    assert not result.works
    assert "check tls" in result.text


def test_a_missing_secret(sandbox: Sandbox, tmp_path: Path) -> None:
    result = found(
        sandbox, tmp_path, secure=False, tls="starttls-required", username="u", password_file="none"
    )
    assert not result.works
    assert result.text.endswith("none: No such file or directory")


def test_no_relay_at_all(sandbox: Sandbox, database: str) -> None:
    results = asyncio.run(checks.everything(sandbox.config(database)))
    assert [result.works for result in results] == [True, True, False]
    assert "add a [[relay]]" in results[-1].text


@pytest.mark.parametrize(
    ("policy", "outcome"),
    [
        (SinkPolicy(), Outcome.ACCEPTED),
        (SinkPolicy(rules=(Rule(Fate.REJECT, prefix="me"),)), Outcome.REJECTED),
        (SinkPolicy(rules=(Rule(Fate.DEFER, prefix="me"),)), Outcome.DEFERRED),
        (SinkPolicy(rules=(Rule(Fate.SWALLOW, prefix="me"),)), Outcome.UNKNOWN),
    ],
)
def test_one_message_has_one_outcome(policy: SinkPolicy, outcome: Outcome) -> None:
    async def main() -> Outcome:
        async with Sink(policy) as sink:
            config = Config(relay=[Relay(name="mx1", host="127.0.0.1", port=sink.port, tls="none")])
            composed = compose(SPEC, Picked(1, "me@a.example", (), ()))
            return (await deliver(config, "me@a.example", composed)).outcome

    assert uvloop.run(main()) is outcome


def test_one_message_without_a_relay() -> None:
    composed = compose(SPEC, Picked(1, "me@a.example", (), ()))
    with pytest.raises(UsageError, match="no relay is configured"):
        uvloop.run(deliver(Config(), "me@a.example", composed))


def test_one_message_while_every_relay_is_down() -> None:
    config = Config(relay=[Relay(name="mx1", host="127.0.0.1", port=1, tls="none")])
    composed = compose(SPEC, Picked(1, "me@a.example", (), ()))
    with pytest.raises(RelayOutage, match="no relay can be used: mx1: "):
        uvloop.run(deliver(config, "me@a.example", composed))
