"""campaignd as the candidate that the others are peers of."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from benchmarks import meter
from benchmarks.candidates import RUN_TIMEOUT
from benchmarks.figures import Reading
from benchmarks.profile import Profiler
from benchmarks.receiver import Receiver
from benchmarks.service import Service
from campaignd.sandbox.box import Sandbox


class Campaignd:
    """The subject: recipients in MySQL to facts in its ledger, by one daemon."""

    name = "campaignd"

    def __init__(
        self,
        box: Sandbox,
        campaign: Path,
        recipients: Callable[[int], Path],
        sessions: int,
        profile: Path | None = None,
    ) -> None:
        """`recipients` gives the file with so many of them; `profile` is the file for a flame
        graph of the daemon, which slows it down."""
        self._box = box
        self._campaign = campaign
        self._recipients = recipients
        self._sessions = sessions
        self._profile = profile

    def run(self, receiver: Receiver, count: int) -> Reading:
        """From the moment the campaign is started until it is finished, as the ledger says: the
        daemon is up before, and nothing is connected yet."""
        with Service(self._box, receiver, self._sessions) as service:
            campaign = service.enqueue(self._campaign, self._recipients(count)).campaign
            used = meter.cpu_seconds(service.pid)
            database = service.database_cpu_seconds
            with Profiler(service.pid, self._profile):
                service.start(campaign)
                service.wait_finished(campaign, RUN_TIMEOUT, lambda: None)
                used = meter.cpu_seconds(service.pid) - used
                database = service.database_cpu_seconds - database
            status = service.expect_finished(campaign, count)
            assert status.started_at is not None and status.finished_at is not None
            return Reading(
                messages=count,
                seconds=status.finished_at - status.started_at,
                cpu_seconds=used,
                peak_memory_kib=meter.peak_memory_kib(service.pid),
                database_cpu_seconds=database,
            )
