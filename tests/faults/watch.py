"""Looks at everything while a long run goes on, in a thread that a frozen server may hold up."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Final, Self

import pymysql

from tests.faults.findings import Findings
from tests.faults.stage import Stage
from tests.faults.takeovers import Takeovers

LOOK_SECONDS: Final = 0.1
SAMPLE_SECONDS: Final = 1.0
DEEP_SAMPLES: Final = 10
"""Every so many samples the whole ledger is added up: a second of MySQL's work for 200,000."""


class Watch:
    """A context manager. Writes into `findings`."""

    def __init__(
        self,
        stage: Stage,
        findings: Findings,
        takeovers: Takeovers,
        campaigns: Iterable[int],
        hampered: Callable[[], bool],
    ) -> None:
        self._stage = stage
        self._findings = findings
        self._takeovers = takeovers
        self._campaigns = list(campaigns)
        self._hampered = hampered
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch")
        self._failure: BaseException | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        samples, due = 0, time.monotonic()
        try:
            while not self._over.wait(LOOK_SECONDS):
                self._takeovers.look(hampered=self._hampered())
                if time.monotonic() >= due:
                    samples, due = samples + 1, time.monotonic() + SAMPLE_SECONDS
                    self._sample(deep=samples % DEEP_SAMPLES == 0)
        except BaseException as error:
            self._failure = error
            raise

    def _sample(self, *, deep: bool) -> None:
        findings = self._findings
        for host in self._stage.hosts:
            if resident := host.resident():
                findings.memory[host.name].append(resident)
        for campaign in self._campaigns:
            try:
                standing = self._stage.ledger.standing(campaign, deep=deep)
            except (pymysql.err.OperationalError, OSError):
                continue  # it is away, or frozen: that is the fault
            findings.r1_read += 1
            findings.r1_wrong += standing.problems()
