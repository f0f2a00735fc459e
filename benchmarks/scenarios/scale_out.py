"""Two daemons against one, where the receivers are what one daemon waits for."""

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
    """Two daemons on one campaign, against one.

    The receivers' delay and each daemon's sessions bound what a daemon can do, well below what a
    core could: it shows what sharing costs on a machine that has no cores for two full daemons.
    """

    def receivers() -> Sinks:
        return Sinks(workshop.supervisor, sessions, processes=sinks, delay=delay / 1000)

    one, two = "one daemon", "two daemons"
    runs = interleave(
        [
            Entry(workshop.campaignd(one), receivers),
            Entry(workshop.campaignd(two, daemons=2), receivers),
        ],
        Plan(repetitions, count, 0, sessions),
    )
    return Measured(
        [
            Finding(
                what="two daemons against one",
                unit="times",
                values=relative(*([run.rate for run in runs[n]] for n in (two, one))),
                at_least=1.9,
            ),
            Finding(
                what="two daemons against one, steady",
                unit="times",
                values=relative(*([run.steady_rate for run in runs[n]] for n in (two, one))),
            ),
            Finding(
                what="two daemons, steady",
                unit="messages/s",
                values=[run.steady_rate for run in runs[two]],
            ),
        ],
        runs,
    )


SCENARIO: Final = Scenario(
    "scale-out",
    measure,
    [
        options.count(80_000),
        options.many_sessions(150),
        options.repetitions(2),
        click.option("--delay", metavar="MS", default=50, type=click.IntRange(0, 60_000)),
        click.option("--sinks", metavar="N", default=2, type=click.IntRange(1, 64)),
    ],
    # More than one shard, so that there is something to share.
    smoke={"count": 10_200, "sessions": 100, "repetitions": 1, "delay": 5, "sinks": 1},
)
