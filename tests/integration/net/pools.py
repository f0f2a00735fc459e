"""A pool under test with its source and reports."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import msgspec

from campaignd.config import Config, Relay, Timeouts
from campaignd.model import Job, Outcome, Verdict
from campaignd.net.pool import Pool
from tests.fakes.jobs import Reports, Source
from tests.fakes.loop import until


class Rig(NamedTuple):
    """What a test looks at."""

    pool: Pool
    source: Source
    reports: Reports

    async def send(self, *jobs: Job) -> list[Verdict]:
        """The verdicts on these jobs."""
        self.source.jobs.extend(jobs)
        self.pool.wake()
        await until(lambda: all(job.seq in self.reports.verdicts for job in jobs), "verdicts")
        return [self.reports.verdicts[job.seq] for job in jobs]

    async def outcomes(self, *jobs: Job) -> list[Outcome]:
        return [verdict.outcome for verdict in await self.send(*jobs)]


def relay(port: int, **settings: Any) -> Relay:
    """A relay on loopback without TLS, unless said otherwise. `timeouts` may be a dict."""
    timeouts = settings.pop("timeouts", {})
    values = {"name": "fake", "host": "127.0.0.1", "tls": "none", **settings}
    return Relay(port=port, timeouts=msgspec.convert(timeouts, Timeouts), **values)


@asynccontextmanager
async def rig(relays: Relay | Iterable[Relay], jobs: Iterable[Job] = ()) -> AsyncIterator[Rig]:
    """A running pool over these relays."""
    config = Config(relay=[relays] if isinstance(relays, Relay) else list(relays))
    source, reports = Source(jobs), Reports()
    pool = Pool(config, source, reports, host="client.example")
    async with asyncio.TaskGroup() as group:
        group.create_task(pool.run())
        await asyncio.sleep(0)
        yield Rig(pool, source, reports)
        pool.close()
