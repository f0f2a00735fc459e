"""The sink over real connections: order of log and reply, delays, closing, TLS."""

from __future__ import annotations

import asyncio
import datetime
import smtplib
import ssl
from collections.abc import Callable, Coroutine
from contextlib import closing
from pathlib import Path
from typing import Any

import aiosmtplib
import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from campaignd.config import Secret
from campaignd.errors import SandboxError, UsageError
from campaignd.sandbox.auth import Credentials
from campaignd.sandbox.policy import Fate, Rule, SinkPolicy
from campaignd.sandbox.sink import Sink
from campaignd.sandbox.sinklog import read_log
from campaignd.sandbox.sinkprocess import SinkProcess
from campaignd.sandbox.sinkserver import server_context
from campaignd.sandbox.supervisor import Supervisor

MESSAGE = b"Message-ID: <1@x>\r\nX-Campaignd-Attempt: 2\r\n\r\n.dot\r\nend\r\n"
DEADLINE = 30.0


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(DEADLINE):
            await main()

    uvloop.run(bounded())


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PEM file with a self-signed certificate for localhost and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "sink.pem"
    encoding = serialization.Encoding.PEM
    file.write_bytes(
        signed.public_bytes(encoding)
        + key.private_bytes(
            encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return file


async def until(condition: Callable[[], object]) -> None:
    """Waits as long as `run` lets it."""
    while not condition():  # noqa: ASYNC110  what it looks at sets no event
        await asyncio.sleep(0.001)


async def connect(sink: Sink) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection(sink.host, sink.port)
    assert (await reader.readline()).startswith(b"220 ")
    writer.write(b"HELO client.example\r\n")
    assert (await reader.readline()).startswith(b"250 ")
    return reader, writer


def message_to(recipient: str) -> bytes:
    return b"MAIL FROM:<a@a.example>\r\nRCPT TO:<%b>\r\nDATA\r\n" % recipient.encode()


async def codes(reader: asyncio.StreamReader, count: int) -> list[int]:
    return [int((await reader.readline())[:3]) for _ in range(count)]


async def send(sink: Sink, recipient: str) -> list[int]:
    """The reply codes of one message; fewer when the connection closes."""
    reader, writer = await connect(sink)
    writer.write(message_to(recipient))
    replies = await codes(reader, 3)
    if replies == [250, 250, 354]:
        writer.write(MESSAGE.replace(b"\r\n.", b"\r\n..") + b".\r\n")
        if line := await reader.readline():
            replies.append(int(line[:3]))
    writer.close()
    return replies


def test_a_reply_means_that_the_log_has_it(tmp_path: Path) -> None:
    log = tmp_path / "log"

    async def main() -> None:
        async with Sink(log=log, keep=1) as sink:
            for number in range(1, 4):
                assert await send(sink, f"{number}@b.example") == [250, 250, 354, 250]
                assert len(list(read_log(log))) == number
            assert sink.counters.accepted == 3
            assert sink.kept == [("a@a.example", ("1@b.example",), MESSAGE)]

    run(main)
    last = list(read_log(log))[-1]
    assert (last.sender, last.recipient) == ("a@a.example", "3@b.example")
    assert (last.message_id, last.attempt, last.session) == ("<1@x>", 2, 3)
    assert last.size == len(MESSAGE) + 1  # one dot is doubled


def test_a_full_disk_is_never_acknowledged() -> None:
    async def main() -> None:
        async with Sink(log=Path("/dev/full")) as sink:
            asyncio.get_running_loop().set_exception_handler(lambda *_: None)
            assert await send(sink, "1@b.example") == [250, 250, 354]

    run(main)


def test_once_passes_at_the_second_attempt() -> None:
    policy = SinkPolicy(
        rules=(
            Rule(Fate.DEFER, prefix="defer", once=True),
            Rule(Fate.SWALLOW, prefix="swallow", once=True),
            Rule(Fate.DROP, prefix="drop"),
        )
    )

    async def main() -> None:
        async with Sink(policy) as sink:
            assert await send(sink, "defer@b.example") == [250, 451, 554]
            assert await send(sink, "defer@b.example") == [250, 250, 354, 250]
            for count, last in ((1, []), (2, [250])):
                assert await send(sink, "swallow@b.example") == [250, 250, 354, *last]
                assert sink.counters.accepted == 1 + count
            for _ in range(2):
                assert await send(sink, "drop@b.example") == [250, 250, 354]
            counters = sink.counters
            assert (counters.deferred, counters.swallowed, counters.dropped) == (1, 1, 2)
            assert counters.accepted == 3

    run(main)


def test_a_delay_comes_after_the_log_and_before_the_reply(tmp_path: Path) -> None:
    log = tmp_path / "log"

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with Sink(SinkPolicy(delay=3600), log=log) as sink:
            _reader, writer = await connect(sink)
            writer.write(message_to("1@b.example") + MESSAGE + b".\r\n")
            await until(lambda: list(read_log(log)))
            writer.close()
        async with Sink(SinkPolicy(delay=0.2, idle_timeout=0.05)) as sink:
            reader, writer = await connect(sink)
            writer.write(message_to("1@b.example") + MESSAGE + b".\r\nQUIT\r\n")
            await codes(reader, 3)
            start = loop.time()
            assert await codes(reader, 2) == [250, 221]  # not idle: it is the sink's turn
            assert loop.time() - start > 0.1
            writer.close()

    run(main)


def test_idle_sessions_and_too_many_get_421() -> None:
    async def main() -> None:
        async with Sink(SinkPolicy(idle_timeout=0.1, max_sessions=1)) as sink:
            reader, writer = await connect(sink)
            refused, other = await asyncio.open_connection(sink.host, sink.port)
            assert await codes(refused, 1) == [421]
            assert await refused.read() == b""
            assert await codes(reader, 1) == [421]
            assert await reader.read() == b""
            for one in (writer, other):
                one.close()
            assert (sink.counters.refused, sink.counters.most_sessions) == (1, 2)

    run(main)


def test_a_client_that_reads_nothing_is_not_read_either() -> None:
    async def main() -> None:
        async with Sink() as sink:
            _reader, writer = await connect(sink)
            transport = next(iter(sink._sessions))._transport
            while transport.is_reading():
                writer.write(b"NOOP\r\n" * 1000)
                await asyncio.sleep(0)
            assert transport.get_write_buffer_size() > 0
            writer.transport.abort()

    run(main)


def test_a_client_that_leaves_is_counted() -> None:
    async def main() -> None:
        async with Sink() as sink:
            reader, writer = await connect(sink)
            writer.write(message_to("1@b.example"))
            await codes(reader, 3)
            writer.transport.abort()
            await until(lambda: not sink.counters.sessions)
            assert sink.counters.cut_off == 1
            await connect(sink)
        assert sink.counters.sessions == 0
        assert sink.counters.cut_off == 1

    run(main)


def test_an_address_in_use_is_a_users_mistake() -> None:
    async def main() -> None:
        async with Sink() as sink:
            with pytest.raises(UsageError, match=r"cannot listen on 127.0.0.1:\d+: \w+"):
                async with Sink(port=sink.port):
                    pass

    run(main)


@pytest.mark.parametrize("implicit", [False, True])
def test_tls_and_auth(implicit: bool, certificate: Path) -> None:
    async def main() -> None:
        credentials = Credentials("user", Secret("secret"))
        async with Sink(
            tls=server_context(certificate), implicit_tls=implicit, credentials=credentials
        ) as sink:
            client = aiosmtplib.SMTP(
                hostname="127.0.0.1",
                port=sink.port,
                use_tls=implicit,
                start_tls=False,
                tls_context=ssl.create_default_context(cafile=str(certificate)),
                validate_certs=True,
                timeout=10,
            )
            client.hostname = "localhost"
            await client.connect()
            if not implicit:
                await client.starttls()
            await client.ehlo()
            with pytest.raises(aiosmtplib.SMTPAuthenticationError):
                await client.login("user", "wrong")
            await client.login("user", "secret")
            await client.sendmail("a@a.example", ["b@b.example"], MESSAGE * 1000)
            await client.quit()
            assert sink.counters.accepted == 1

    run(main)


def test_a_handshake_that_fails_ends_the_session(certificate: Path) -> None:
    async def main() -> None:
        async with Sink(tls=server_context(certificate)) as sink:
            reader, writer = await connect(sink)
            writer.write(b"STARTTLS\r\n")
            assert await codes(reader, 1) == [220]
            writer.write(b"NOOP\r\n" * 10)
            with pytest.raises(ConnectionError):
                while await reader.read(1000):
                    pass
                raise ConnectionError("closed")
            writer.close()
            assert await send(sink, "1@b.example") == [250, 250, 354, 250]

    run(main)


def post(sink: SinkProcess, recipient: str) -> None:
    with smtplib.SMTP(sink.host, sink.port, timeout=DEADLINE) as client:
        client.sendmail("a@a.example", [recipient], MESSAGE)


def test_a_process_of_its_own(place: Path) -> None:
    with SinkProcess(SinkPolicy(rules=(Rule.parse(Fate.REJECT, "bad*"),)), keep=1) as sink:
        post(sink, "1@b.example")
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            post(sink, "bad@b.example")
        sink.kill()
        with pytest.raises(ConnectionRefusedError):
            post(sink, "2@b.example")
        sink.start()
        post(sink, "3@b.example")
        assert [one.recipient for one in sink.accepted()] == ["1@b.example", "3@b.example"]
        sink.freeze()
        sink.thaw()
        sink.stop()
        assert sink.counters().accepted == 1
        assert sink.kept()


def test_a_process_with_a_log_of_ones_own(place: Path, tmp_path: Path) -> None:
    with SinkProcess(log=tmp_path / "log") as sink:
        post(sink, "1@b.example")
    assert [one.recipient for one in read_log(tmp_path / "log")] == ["1@b.example"]


def test_a_process_over_tls(place: Path, certificate: Path) -> None:
    credentials = Credentials("user", Secret("s3cret-word"))
    with SinkProcess(certificate=certificate, credentials=credentials) as sink:
        command = Path(f"/proc/{sink.pid}/cmdline").read_text()
        assert "s3cret-word" not in command
        with smtplib.SMTP("localhost", sink.port, timeout=DEADLINE) as client:
            client.starttls(context=ssl.create_default_context(cafile=str(certificate)))
            client.login("user", "s3cret-word")
            client.sendmail("a@a.example", ["b@b.example"], MESSAGE)
        assert len(list(sink.accepted())) == 1


def test_a_process_that_cannot_start_says_why(place: Path) -> None:
    with SinkProcess() as sink:
        other = SinkProcess(port=sink.port)
        with pytest.raises(SandboxError, match="cannot listen on"), other:
            pass


def test_a_port_may_serve_again_in_the_same_folder() -> None:
    with closing(Supervisor()) as supervisor:
        with SinkProcess(supervisor=supervisor) as first:
            assert first.running
        with SinkProcess(port=first.port, supervisor=supervisor) as second:
            assert second.running
