"""What others do: the whole job by Celery and smtplib, and bare loops that only send."""

from __future__ import annotations

import logging
from typing import Final

from benchmarks import options
from benchmarks.candidates import Candidate, SmtpSource, aiosmtplib_loop, smtplib_loop
from benchmarks.experiment import Entry, Plan, interleave
from benchmarks.findings import Finding, relative
from benchmarks.peers.celery_sender import CelerySender, available
from benchmarks.receiver import Receiver
from benchmarks.scenario import Measured, Scenario
from benchmarks.workshop import Workshop

CELERY_SHARE: Final = 3
"""It sends a third of the others' messages: they take it twenty times as long."""

_log: Final = logging.getLogger("benchmarks")


def measure(workshop: Workshop, *, count: int, sessions: int, repetitions: int) -> Measured:
    """campaignd beside Celery with smtplib, which does the same job, and beside bare senders.

    Celery: batches of 100, two workers, Redis as its broker, its best honest form. The bare
    senders, smtp-source, aiosmtplib and smtplib, send one ready-made message over and over.
    """
    folder, message = workshop.box.folder, workshop.material
    candidates: list[Candidate] = [workshop.campaignd()]
    if available():
        candidates.append(CelerySender(workshop.box, workshop.campaign))
    else:
        _log.warning("without Celery, which is not installed: pip install 'campaignd[bench]'")
    candidates += [
        SmtpSource(folder, message, sessions),
        aiosmtplib_loop(folder, message, sessions),
        smtplib_loop(folder, message),
    ]
    runs = interleave(
        [
            Entry(
                candidate,
                lambda: Receiver(workshop.supervisor, sessions),
                -(-count // CELERY_SHARE) if candidate.name == CelerySender.name else None,
            )
            for candidate in candidates
        ],
        Plan(repetitions, count, 0, sessions),
    )
    rates = {name: [run.rate for run in found] for name, found in runs.items()}
    mine = rates.pop("campaignd")
    return Measured(
        [
            Finding(
                what=f"end to end against {name}",
                unit="times",
                values=relative(mine, its),
                at_least=15 if name == CelerySender.name else None,
            )
            for name, its in rates.items()
        ],
        runs,
    )


SCENARIO: Final = Scenario(
    "peers",
    measure,
    [options.count(20_000), options.sessions, options.repetitions(3)],
    smoke={"count": 200, "sessions": 10, "repetitions": 1},
)
