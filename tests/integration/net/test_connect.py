"""The handshake in every mode of `tls`, AUTH, and what becomes of its failures."""

from __future__ import annotations

import base64
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from campaignd.config import Config
from campaignd.errors import RelayOutage
from campaignd.model import Outcome
from campaignd.net.connect import Connector, Link
from campaignd.smtp.command import Capabilities
from tests.fakes.certificates import Authority
from tests.fakes.jobs import make_job
from tests.fakes.loop import run, until
from tests.fakes.relay import Close, FakeRelay, Say, Stall
from tests.integration.net.pools import relay, rig

PASSWORD = "s3cret/pass+word"
WITH_TLS = Say(b"250-fake\r\n250-PIPELINING\r\n250 STARTTLS")
INSIDE = Say(b"250-fake\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 SIZE 9000")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


async def connect(port: int, *, path: Path | None = None, **settings: Any) -> Link:
    config = Config(relay=[relay(port, **settings)], path=path)
    return await Connector(config, config.relay[0], host="client.example").connect()


async def outage(port: int, **settings: Any) -> str:
    with pytest.raises(RelayOutage) as caught:
        await connect(port, **settings)
    reason = str(caught.value)
    assert reason
    assert reason.isprintable()
    assert caught.value.__cause__ is None
    return reason


def test_plain() -> None:
    async def main() -> None:
        async with FakeRelay({"EHLO": INSIDE}) as fake:
            link = await connect(fake.port)
            assert link.offered == Capabilities(True, True, True, 9000)
            assert link.transport is link.below
            assert 0 <= link.rtt < 1
            assert fake.commands == [b"EHLO client.example"]
            link.close()

    run(main())


def test_helo_is_ours_to_choose_and_a_fallback() -> None:
    async def main() -> None:
        async with FakeRelay({"EHLO": Say(b"502 5.5.1 what")}) as fake:
            link = await connect(fake.port, helo="me.example")
            assert link.offered == Capabilities()
            assert fake.commands == [b"EHLO me.example", b"HELO me.example"]
            link.close()

    run(main())


def test_starttls_takes_capabilities_from_inside(authority: Authority) -> None:
    async def main() -> None:
        script = {"EHLO": [WITH_TLS, INSIDE]}
        async with FakeRelay(script, tls=authority.server("127.0.0.1")) as fake:
            link = await connect(
                fake.port, tls="starttls-required", tls_ca_file=str(authority.file)
            )
            assert link.offered == Capabilities(True, True, True, 9000)
            assert link.transport.get_extra_info("ssl_object") is not None
            assert link.transport is not link.below
            link.close()

    run(main())


def test_opportunistic_starttls_falls_back_only_when_not_offered(authority: Authority) -> None:
    async def main() -> None:
        async with FakeRelay() as fake:
            link = await connect(fake.port, tls="starttls")
            assert link.transport.get_extra_info("ssl_object") is None
            link.close()
            assert "STARTTLS" in await outage(fake.port, tls="starttls-required")
        async with FakeRelay({"EHLO": WITH_TLS, "STARTTLS": Say(b"454 4.7.0 no")}) as fake:
            assert "454" in await outage(fake.port, tls="starttls")
        async with FakeRelay({"EHLO": WITH_TLS}, tls=authority.server("127.0.0.1")) as fake:
            assert "TLS" in await outage(fake.port, tls="starttls")  # the CA is not trusted

    run(main())


@pytest.mark.parametrize("tls", ["starttls-required", "implicit"])
def test_certificates_are_checked(authority: Authority, tmp_path: Path, tls: str) -> None:
    other = Authority(tmp_path, "other")
    cases = [
        (authority.server("mail.example"), "match"),
        (authority.server("127.0.0.1", expired=True), "expired"),
        (other.server("127.0.0.1"), "certificate"),
    ]

    async def main() -> None:
        settings = {"tls": tls, "tls_ca_file": str(authority.file)}
        for context, word in cases:
            script = {"EHLO": WITH_TLS}
            async with FakeRelay(script, tls=context, implicit=tls == "implicit") as fake:
                reason = await outage(fake.port, **settings)
                assert reason.startswith("TLS: ")
                assert word in reason
                link = await connect(fake.port, tls_verify=False, **settings)
                link.close()

    run(main())


@pytest.mark.parametrize("tls", ["starttls-required", "implicit"])
@pytest.mark.parametrize("lines", [10, 200_000])
def test_messages_over_tls(authority: Authority, tls: str, lines: int) -> None:
    async def main() -> None:
        context = authority.server("127.0.0.1")
        async with FakeRelay({"EHLO": WITH_TLS}, tls=context, implicit=tls == "implicit") as fake:
            settings = relay(fake.port, tls=tls, tls_ca_file=str(authority.file), connections=3)
            body = (b"x" * 70 + b"\r\n") * lines + b".\r\n"
            jobs = [make_job(n, message=body) for n in range(3)]
            async with rig(settings) as r:
                assert await r.outcomes(*jobs) == [Outcome.ACCEPTED] * 3
                await r.pool.drain(5)
                await until(lambda: fake.open_connections == 0)
            assert [m.content for m in fake.received] == [job.message[:-3] for job in jobs]

    run(main())


def test_failures_are_one_line() -> None:
    async def main() -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            port = unused.getsockname()[1]
            assert "refused" in (await outage(port)).lower()
        assert await outage(25, host="no-such-host.invalid")
        for answer, words in [
            (Say(b"554 5.7.1 go\r\n away"), "554"),
            (Close(b"421 4.3.2 down"), "421"),
            (Close(), "closed the connection"),
            (Say(b"SSH-2.0-OpenSSH_9.2"), "SSH"),
            (Say(b"x" * 100_000), "long"),
        ]:
            async with FakeRelay({"GREETING": answer}) as fake:
                assert words in await outage(fake.port)
                await until(lambda: fake.open_connections == 0)
        async with FakeRelay({"EHLO": Close(b"421 4.3.2 down")}) as fake:
            assert "421" in await outage(fake.port)
        async with FakeRelay({"EHLO": WITH_TLS, "STARTTLS": Close(b"220 go")}) as fake:
            assert await outage(fake.port, tls="starttls", timeouts={"greeting": 1})

    run(main())


def test_the_handshake_has_deadlines() -> None:
    async def main() -> None:
        for script in ({"GREETING": Stall()}, {"EHLO": Stall()}):
            async with FakeRelay(script) as fake:
                reason = await outage(fake.port, timeouts={"greeting": 0.1})
                assert "timed out" in reason.lower()
        async with FakeRelay({"GREETING": Stall()}) as fake:  # a plain server: no TLS comes
            reason = await outage(fake.port, tls="implicit", timeouts={"connect": 0.1})
            assert "0.1 s" in reason

    run(main())


class Guarded:
    """What aiosmtpd asks."""

    def __init__(self) -> None:
        self.count = 0

    def authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        good = data.login == b"alice" and data.password == PASSWORD.encode()
        return AuthResult(success=good, handled=False)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        assert session.authenticated
        self.count += 1
        return "250 2.0.0 queued"


@pytest.fixture
def guarded(authority: Authority) -> Iterator[tuple[Guarded, int]]:
    handler = Guarded()
    controller = Controller(
        handler,
        hostname="127.0.0.1",
        port=_free_port(),
        tls_context=authority.server("127.0.0.1"),
        require_starttls=True,
        auth_required=True,
        authenticator=handler.authenticate,
    )
    controller.start()
    yield handler, controller.port
    controller.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def secured(authority: Authority, password_file: Path) -> dict[str, Any]:
    return {
        "tls": "starttls-required",
        "tls_ca_file": str(authority.file),
        "username": "alice",
        "password_file": str(password_file),
    }


def test_auth(authority: Authority, guarded: tuple[Guarded, int], tmp_path: Path) -> None:
    handler, port = guarded
    secret = tmp_path / "secret"
    secret.write_text(PASSWORD + "\n")

    async def main() -> None:
        settings = secured(authority, secret)
        async with rig(relay(port, **settings)) as r:
            jobs = [make_job(seq) for seq in range(5)]
            assert await r.outcomes(*jobs) == [Outcome.ACCEPTED] * 5
            await r.pool.drain(5)

    run(main())
    assert handler.count == 5


def test_auth_refused_does_not_show_the_password(
    authority: Authority, guarded: tuple[Guarded, int], tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("wrong-" + PASSWORD)

    async def main() -> None:
        reason = await outage(guarded[1], **secured(authority, secret))
        assert "535" in reason
        assert PASSWORD not in reason
        missing = await outage(guarded[1], **secured(authority, tmp_path / "none"))
        assert "none" in missing

    run(main())


def test_a_server_that_echoes_the_password(authority: Authority, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(PASSWORD)
    plain = base64.b64encode(f"\0alice\0{PASSWORD}".encode())
    login = base64.b64encode(PASSWORD.encode())

    async def main() -> None:
        echo = Say(b"535 no: " + PASSWORD.encode() + b" " + plain + b" " + login)
        script = {
            "EHLO": [WITH_TLS, Say(b"250-fake\r\n250 AUTH PLAIN")],
            "AUTH": echo,
        }
        async with FakeRelay(script, tls=authority.server("127.0.0.1")) as fake:
            reason = await outage(fake.port, **secured(authority, secret))
            assert reason == "535 no: *** *** ***"

    run(main())


def test_a_ca_file_that_is_not_there_is_an_outage(tmp_path: Path) -> None:
    async def main() -> None:
        async with FakeRelay() as fake:
            path = tmp_path / "config.toml"
            reason = await outage(fake.port, path=path, tls="starttls", tls_ca_file="no.pem")
            assert str(tmp_path / "no.pem") in reason

    run(main())
