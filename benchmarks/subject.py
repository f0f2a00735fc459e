"""campaignd as the candidate that the others are peers of."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from benchmarks.candidates import RUN_TIMEOUT
from benchmarks.farend import FarEnd
from benchmarks.figures import Reading
from benchmarks.profile import Profiler
from benchmarks.progress import Progress
from benchmarks.service import Service
from campaignd.sandbox.box import Sandbox

SLOWEST: Final = 1_000
"""Messages a second; a run that is much slower is given up."""


class Campaignd:
    """The subject: recipients in MySQL to facts in its ledger, by one daemon or more."""

    def __init__(
        self,
        box: Sandbox,
        campaign: Path,
        recipients: Callable[[int], Path],
        *,
        name: str = "campaignd",
        daemons: int = 1,
        profile: Path | None = None,
        sections: Mapping[str, Any] | None = None,
    ) -> None:
        """`recipients` gives the file with so many of them; `profile` is the file for what py-spy
        sees of the first daemon, which slows it down; `sections` are more of the configuration."""
        self.name = name
        self._box = box
        self._campaign = campaign
        self._recipients = recipients
        self._daemons = daemons
        self._profile = profile
        self._sections = sections or {}

    def run(self, receiver: FarEnd, count: int) -> Reading:
        """From the moment the campaign is started until it is finished, as the ledger says: the
        daemons are up before, and nothing is connected yet."""
        progress = Progress(count)

        def look() -> None:
            if progress.due(now := time.monotonic()):
                progress.add(now, receiver.messages)

        with Service(
            self._box, receiver.relays(), daemons=self._daemons, sections=self._sections
        ) as service:
            campaign = service.enqueue(self._campaign, self._recipients(count)).campaign
            used = service.cpu_seconds
            database = service.database_cpu_seconds
            with Profiler(service.pid, self._profile):
                service.start(campaign)
                service.wait_finished(campaign, RUN_TIMEOUT + count / SLOWEST, look)
                used = service.cpu_seconds - used
                database = service.database_cpu_seconds - database
            status = service.expect_finished(campaign, count)
            assert status.started_at is not None and status.finished_at is not None
            return Reading(
                messages=count,
                seconds=status.finished_at - status.started_at,
                cpu_seconds=used,
                peak_memory_kib=service.peak_memory_kib,
                database_cpu_seconds=database,
                steady=progress.steady_rate,
            )
