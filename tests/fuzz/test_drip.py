"""Relays that never quite answer: a deadline is for a whole reply, however it trickles in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from campaignd.model import Outcome
from tests.fakes.jobs import Reports, Source, make_job
from tests.fakes.loop import run, until
from tests.fakes.relay import FakeRelay
from tests.fuzz.hostile import EHLO, drip_for_ever, send
from tests.fuzz.targets.relay import impatience, relay_at, running

_GOOD = {"EHLO": EHLO, "MAIL": b"250 ok\r\n", "RCPT": b"250 ok\r\n", "DATA": b"354 go\r\n"}
_MEANS = {
    "GREETING": None,
    "EHLO": None,
    "MAIL": Outcome.DEFERRED,
    "RCPT": Outcome.DEFERRED,
    "DATA": Outcome.DEFERRED,
    "DOT": Outcome.UNKNOWN,
}
"""What becomes of a job whose relay drips here; None: it waits for a better one."""


@pytest.fixture(autouse=True)
def impatient() -> Iterator[None]:
    with impatience():
        yield


@pytest.mark.parametrize("drip", [b"2", b"250-x\r\n"], ids=["octets", "lines"])
def test_no_phase_can_be_dripped_on(drip: bytes) -> None:
    async def dripped_on(phase: str) -> None:
        source, reports = Source([make_job(1)]), Reports()
        async with _dripping(phase, drip) as port:
            settings = relay_at(port, pipelining=False)
            async with running(settings, source=source, reports=reports) as pool:
                await until(lambda: pool.relays()[0].last_error, f"{phase}: {pool!r}")
                if _MEANS[phase] is not None:
                    await until(lambda: reports.verdicts, f"{phase}: {pool!r}")
        assert [verdict.outcome for verdict in reports.verdicts.values()] == (
            [] if _MEANS[phase] is None else [_MEANS[phase]]
        )

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            for phase in _MEANS:
                group.create_task(dripped_on(phase))

    run(main())


def test_a_relay_that_stalls_every_handshake_does_not_starve_another() -> None:
    async def main() -> None:
        source, reports = Source([make_job(seq) for seq in range(100)]), Reports()
        async with _dripping("GREETING", b"2") as port, FakeRelay() as kind:
            settings = relay_at(port), relay_at(kind.port)
            async with running(*settings, source=source, reports=reports) as pool:
                await until(lambda: len(reports.verdicts) == 100, f"{pool!r}")
        assert {verdict.outcome for verdict in reports.verdicts.values()} == {Outcome.ACCEPTED}

    run(main())


@asynccontextmanager
async def _dripping(phase: str, drip: bytes) -> AsyncIterator[int]:
    """The port of a server that answers one phase with a drip for ever, and the others well."""
    talks: set[asyncio.StreamWriter] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talks.add(writer)
        try:
            if phase == "GREETING":
                await drip_for_ever(writer, drip)
            await send(writer, b"220 drip\r\n")
            while line := await reader.readline():
                verb = "DOT" if line == b".\r\n" else line[:4].decode()
                if verb == phase:
                    await drip_for_ever(writer, drip)
                await send(writer, _GOOD.get(verb, b""))
        except ConnectionError:
            pass  # our side hung up
        finally:
            talks.remove(writer)
            writer.transport.abort()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await until(lambda: not talks, "our side hung up")
        await server.wait_closed()
