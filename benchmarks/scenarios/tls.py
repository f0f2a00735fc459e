"""What encryption costs."""

from __future__ import annotations

from typing import Final

import click

from benchmarks import options
from benchmarks.experiment import Entry, Plan, interleave
from benchmarks.findings import Finding, relative
from benchmarks.scenario import Measured, Scenario
from benchmarks.sinks import Sinks, make_certificate
from benchmarks.workshop import Workshop


def measure(
    workshop: Workshop, *, count: int, sessions: int, repetitions: int, sinks: int
) -> Measured:
    """STARTTLS to receivers whose certificate is checked, against the same ones without TLS.

    The receivers encrypt on the same machine, so what the daemon itself spends says more than
    the rate where there are few cores.
    """
    certificate = make_certificate(workshop.box.folder)
    plain, encrypted = "no TLS", "STARTTLS"
    runs = interleave(
        [
            Entry(
                workshop.campaignd(plain),
                lambda: Sinks(workshop.supervisor, sessions, processes=sinks),
            ),
            Entry(
                workshop.campaignd(encrypted),
                lambda: Sinks(
                    workshop.supervisor, sessions, processes=sinks, certificate=certificate
                ),
            ),
        ],
        Plan(repetitions, count, 0, sessions),
    )
    where = f"STARTTLS, {sessions:,} sessions"
    return Measured(
        [
            Finding(
                what=f"{where}, against none, steady",
                unit="times",
                values=relative(
                    [run.steady_rate for run in runs[encrypted]],
                    [run.steady_rate for run in runs[plain]],
                ),
                at_least=0.8,
            ),
            Finding(
                what=f"{where}, steady",
                unit="messages/s",
                values=[run.steady_rate for run in runs[encrypted]],
            ),
            Finding(
                what=f"{where}, daemon's CPU for a message, against none",
                unit="times",
                values=relative(
                    [run.cpu_us for run in runs[encrypted]], [run.cpu_us for run in runs[plain]]
                ),
            ),
        ],
        runs,
    )


SCENARIO: Final = Scenario(
    "tls",
    measure,
    [
        options.count(80_000),
        options.sessions,
        options.repetitions(2),
        click.option("--sinks", metavar="N", default=2, type=click.IntRange(1, 64)),
    ],
    smoke={"count": 200, "sessions": 10, "repetitions": 1, "sinks": 1},
)
