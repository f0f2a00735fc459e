"""The real pool and sessions, on the real loop, against a relay that does what it likes.

What each job came to must be exactly what the log of the wire says, as our side saw it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final, cast
from unittest import mock

from campaignd.config import Config, Relay, Timeouts
from campaignd.model import Outcome
from campaignd.net import health, pool
from campaignd.net.connect import Link
from campaignd.net.pool import Pool
from campaignd.net.session import Session
from tests.fakes.jobs import Reports, Source, make_job
from tests.fakes.loop import run as run_on_uvloop
from tests.fakes.loop import until
from tests.fuzz import wire
from tests.fuzz.choices import Choices
from tests.fuzz.hostile import HostileRelay

PATIENCE: Final = 0.3
"""Every deadline of a session, in seconds."""

JOBS: Final = 80
_KERNEL_OCTETS: Final = 16 << 20
"""What socket buffers may take of a flood before our side hangs up, with room to spare."""

_SHORT: Final = b"Subject: x\r\n\r\nhello\r\n.\r\n"
_LONG: Final = b"Subject: x\r\n\r\n" + (b"x" * 70 + b"\r\n") * 1_000 + b".\r\n"


def run(data: bytes) -> None:
    choices = Choices(data)
    malice = choices.pick((0.15, 0.05, 0.4))
    pipelining = choices.flag()
    with impatience(), _tapped() as logs:
        run_on_uvloop(_attack(choices.rest(), malice, pipelining, logs))


@contextmanager
def impatience() -> Iterator[None]:
    """Deadlines are looked at often, and a relay that failed is tried again at once."""
    with (
        mock.patch.object(pool, "SWEEP_SECONDS", 0.02),
        mock.patch.object(health, "FIRST_DELAY_SECONDS", 0.001),
        mock.patch.object(health, "LONGEST_DELAY_SECONDS", 0.005),
    ):
        yield


def relay_at(port: int, *, pipelining: bool = True) -> Relay:
    """A relay on loopback that has little time."""
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
    """A pool at work."""
    under_test = Pool(Config(relay=list(relays)), source, reports, host="client.example")
    async with asyncio.TaskGroup() as group:
        group.create_task(under_test.run())
        await asyncio.sleep(0)
        under_test.wake()
        try:
            yield under_test
        finally:
            under_test.close()


async def _attack(seed: bytes, malice: float, pipelining: bool, logs: list[wire.Log]) -> None:
    jobs = [make_job(seq, message=_LONG if seq % 16 == 0 else _SHORT) for seq in range(JOBS)]
    source, reports = Source(jobs), Reports()
    async with HostileRelay(seed, malice=malice) as hostile:
        settings = relay_at(hostile.port, pipelining=pipelining)
        async with running(settings, source=source, reports=reports) as under_test:
            await until(lambda: len(reports.verdicts) == JOBS, f"{under_test!r}")
    assert hostile.flooded < _KERNEL_OCTETS, "it listened to a flood"
    meant: dict[bytes, Outcome] = {}
    for log in logs:
        outcomes = wire.outcomes(log)
        assert not outcomes.keys() & meant.keys(), "sent again after its final dot"
        meant |= outcomes
    for job in jobs:
        verdict = reports.verdicts[job.seq]
        if job.recipient in meant:
            assert verdict.outcome is meant[job.recipient], verdict
        else:
            assert verdict.outcome in (Outcome.DEFERRED, Outcome.REJECTED), verdict


@contextmanager
def _tapped() -> Iterator[list[wire.Log]]:
    """What goes over each session, as our side sees it."""
    logs: list[wire.Log] = []

    class Tapped(Session):
        def __init__(self, link: Link, *args: Any, **options: Any) -> None:
            self.log = wire.Log()
            logs.append(self.log)
            tap = cast(asyncio.Transport, _Tap(link.transport, self.log))
            super().__init__(link._replace(transport=tap, below=tap), *args, **options)

        def data_received(self, data: bytes) -> None:
            self.log.heard(data)
            super().data_received(data)

    with mock.patch.object(pool, "Session", Tapped):
        yield logs


class _Tap:
    """A transport whose writes are logged."""

    def __init__(self, transport: asyncio.Transport, log: wire.Log) -> None:
        self._transport = transport
        self._log = log

    def write(self, data: bytes) -> None:
        self._log.wrote(data)
        self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
