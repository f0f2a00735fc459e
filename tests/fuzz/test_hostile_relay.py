"""The real pool and sessions on the real loop against relays that do what they like."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from campaignd.config import Config, Relay, Timeouts
from campaignd.model import Outcome
from campaignd.net import health, pool
from campaignd.net.pool import Pool
from tests.fakes.jobs import Reports, Source, make_job
from tests.fakes.loop import run, until
from tests.fakes.relay import FakeRelay
from tests.fuzz import wire
from tests.fuzz.hostile import EHLO, HostileRelay

PATIENCE = 0.3
"""Every deadline of a session, in seconds."""

JOBS = 120
SOCKET_BUFFERS = 16 << 20
"""Octets that the kernel may take of a flood before our side hangs up."""


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Deadlines are looked at often, and a relay that failed is tried again at once."""
    monkeypatch.setattr(pool, "SWEEP_SECONDS", 0.02)
    monkeypatch.setattr(health, "FIRST_DELAY_SECONDS", 0.001)
    monkeypatch.setattr(health, "LONGEST_DELAY_SECONDS", 0.005)
    yield


def relay_at(port: int, *, pipelining: bool = True) -> Relay:
    patience = Timeouts(**dict.fromkeys(Timeouts.__struct_fields__, PATIENCE))
    return Relay(
        name=f"r{port}",
        host="127.0.0.1",
        port=port,
        tls="none",
        connections=8,
        pipelining=pipelining,
        timeouts=patience,
    )


@asynccontextmanager
async def running(*relays: Relay, source: Source, reports: Reports) -> AsyncIterator[Pool]:
    under_test = Pool(Config(relay=list(relays)), source, reports, host="client.example")
    async with asyncio.TaskGroup() as group:
        group.create_task(under_test.run())
        await asyncio.sleep(0)
        under_test.wake()
        yield under_test
        under_test.close()


@pytest.mark.parametrize("pipelining", [True, False], ids=["pipelined", "lockstep"])
@pytest.mark.parametrize("seed", range(4))
def test_every_job_ends_and_none_is_accepted_without_a_reason(
    seed: int, pipelining: bool
) -> None:
    async def main() -> None:
        messages = (None, b"S: x\r\n\r\n" + b"x" * 70_000 + b"\r\n.\r\n")
        jobs = [make_job(seq, message=messages[seq % 16 == 0]) for seq in range(JOBS)]
        source, reports = Source(jobs), Reports()
        async with HostileRelay(seed) as hostile:
            settings = relay_at(hostile.port, pipelining=pipelining)
            async with running(settings, source=source, reports=reports) as under_test:
                await until(lambda: len(reports.verdicts) == JOBS, f"{under_test!r}")
        told = set[bytes]().union(*map(wire.was_told, hostile.logs))
        accepted = {
            job.recipient
            for job in jobs
            if reports.verdicts[job.seq].outcome is Outcome.ACCEPTED
        }
        assert accepted <= told
        assert accepted, "the relay was never kind enough to show anything"
        assert hostile.flooded < SOCKET_BUFFERS

    run(main())


@pytest.mark.parametrize("phase", ["GREETING", "EHLO", "MAIL", "RCPT", "DATA", "DOT"])
@pytest.mark.parametrize("drip", [b"2", b"250-x\r\n"], ids=["octets", "lines"])
def test_a_reply_that_never_ends_does_not_hold_a_session(phase: str, drip: bytes) -> None:
    """A deadline is for the whole reply, however it trickles in."""

    async def main() -> None:
        source, reports = Source([make_job(1)]), Reports()
        async with _dripping(phase, drip) as port:
            settings = relay_at(port, pipelining=False)
            async with running(settings, source=source, reports=reports) as under_test:
                lane = under_test.relays
                await until(lambda: lane()[0].last_error or reports.verdicts, f"{under_test!r}")
                await until(lambda: not under_test.in_flight or reports.verdicts)
        expected = {"RCPT": Outcome.DEFERRED, "DATA": Outcome.DEFERRED, "DOT": Outcome.UNKNOWN}
        if phase in expected:
            assert reports.verdicts[1].outcome is expected[phase]
        else:  # nothing was said of the job
            assert Outcome.ACCEPTED not in {v.outcome for v in reports.verdicts.values()}

    run(main())


def test_a_relay_that_stalls_every_handshake_does_not_starve_another() -> None:
    async def main() -> None:
        source, reports = Source([make_job(seq) for seq in range(JOBS)]), Reports()
        async with _dripping("GREETING", b"2") as port, FakeRelay() as kind:
            settings = relay_at(port), relay_at(kind.port)
            async with running(*settings, source=source, reports=reports) as under_test:
                await until(lambda: len(reports.verdicts) == JOBS, f"{under_test!r}")
        assert {verdict.outcome for verdict in reports.verdicts.values()} == {Outcome.ACCEPTED}

    run(main())


@asynccontextmanager
async def _dripping(phase: str, drip: bytes) -> AsyncIterator[int]:
    """The port of a server that answers one phase with a drip for ever, and the others well."""
    answers = {"EHLO": EHLO, "MAIL": b"250 ok\r\n", "RCPT": b"250 ok\r\n", "DATA": b"354 go\r\n"}
    talks: set[asyncio.Task[None]] = set()

    async def drip_for_ever(writer: asyncio.StreamWriter) -> None:
        while True:
            for at in range(len(drip)):
                writer.write(drip[at : at + 1])
                await writer.drain()
                await asyncio.sleep(0.01)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talks.add(asyncio.current_task())  # type: ignore[arg-type]
        try:
            if phase == "GREETING":
                await drip_for_ever(writer)
            writer.write(b"220 drip\r\n")
            while line := await reader.readline():
                verb = line.split()[0].decode() if line.strip() else ""
                verb = "DOT" if line == b".\r\n" else verb
                if verb == phase:
                    await drip_for_ever(writer)
                writer.write(answers.get(verb, b""))
        except ConnectionError:
            pass
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in talks:
            task.cancel()
        await asyncio.gather(*talks, return_exceptions=True)
        await server.wait_closed()
