"""Receivers that take their time for the final dot, as those that scan what they get do."""

from __future__ import annotations

from typing import Final

import click

from benchmarks import options
from benchmarks.experiment import Entry, Plan, interleave
from benchmarks.findings import Finding, relative
from benchmarks.scenario import Measured, Scenario
from benchmarks.sinks import Sinks
from benchmarks.workshop import Workshop


def measure(
    workshop: Workshop, *, count: int, sessions: int, repetitions: int, delay: int, sinks: int
) -> Measured:
    """One daemon with thousands of sessions to receivers that are slow at the final dot.

    Against the same receivers without their delay. The steady rate is that of the second half of
    a run, when all sessions are open.
    """

    def receivers(seconds: float) -> Sinks:
        return Sinks(workshop.supervisor, sessions, processes=sinks, delay=seconds)

    at_once, slow = "at once", f"after {delay} ms"
    runs = interleave(
        [
            Entry(workshop.campaignd(at_once), lambda: receivers(0.0)),
            Entry(workshop.campaignd(slow), lambda: receivers(delay / 1000)),
        ],
        Plan(repetitions, count, 0, sessions),
    )
    where = f"{sessions:,} sessions, final dot after {delay} ms"
    return Measured(
        [
            Finding(
                what=f"{where}, against none, steady",
                unit="times",
                values=relative(*([run.steady_rate for run in runs[n]] for n in (slow, at_once))),
                at_least=0.9,
            ),
            Finding(
                what=f"{where}, against none, with opening the sessions",
                unit="times",
                values=relative(*([run.rate for run in runs[n]] for n in (slow, at_once))),
            ),
            Finding(
                what=f"{where}, steady",
                unit="messages/s",
                values=[run.steady_rate for run in runs[slow]],
            ),
            Finding(
                what=f"peak memory, {sessions:,} sessions",
                unit="MiB",
                values=[max(run.peak_memory_kib for run in runs[slow]) / 1024],
                at_most=190.7,  # 200 MB
            ),
        ],
        runs,
    )


SCENARIO: Final = Scenario(
    "slow-dot",
    measure,
    [
        options.count(150_000),
        options.many_sessions(5_000),
        options.repetitions(2),
        click.option("--delay", metavar="MS", default=400, type=click.IntRange(0, 60_000)),
        click.option("--sinks", metavar="N", default=2, type=click.IntRange(1, 64)),
    ],
    smoke={"count": 400, "sessions": 40, "repetitions": 1, "delay": 20, "sinks": 2},
)
