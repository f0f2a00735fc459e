"""A large audience against a small one: what a message costs must not depend on it."""

from __future__ import annotations

from statistics import median
from typing import Final

import click

from benchmarks import options
from benchmarks.experiment import Entry
from benchmarks.experiment import measure as run
from benchmarks.findings import Finding
from benchmarks.receiver import Receiver
from benchmarks.scenario import Measured, Scenario
from benchmarks.workshop import Workshop


def measure(workshop: Workshop, *, count: int, large: int, sessions: int) -> Measured:
    """Memory and CPU for a message, small audience against large one.

    The small one goes before and after the large one.
    """

    def receiver() -> Receiver:
        return Receiver(workshop.supervisor, sessions)

    small, big = f"{count:,}", f"{large:,}"
    runs = {
        small: [run(Entry(workshop.campaignd(small), receiver), count)],
        big: [run(Entry(workshop.campaignd(big), receiver), large)],
    }
    runs[small].append(run(Entry(workshop.campaignd(small), receiver), count))

    def more(mine: float, *its: float) -> list[float]:
        return [(mine / median(its) - 1) * 100]

    return Measured(
        [
            Finding(
                what=f"peak memory, {big} recipients against {small}",
                unit="% more",
                values=more(
                    runs[big][0].peak_memory_kib, *(one.peak_memory_kib for one in runs[small])
                ),
                at_most=5,
            ),
            Finding(
                what=f"daemon's CPU for a message, {big} recipients against {small}",
                unit="% more",
                values=more(runs[big][0].cpu_us, *(one.cpu_us for one in runs[small])),
                at_most=5,
            ),
            Finding(
                what=f"{big} recipients, one daemon",
                unit="messages/s",
                values=[runs[big][0].rate],
            ),
        ],
        runs,
    )


SCENARIO: Final = Scenario(
    "scale",
    measure,
    [
        options.count(100_000),
        click.option(
            "--large",
            metavar="N",
            default=5_000_000,
            type=click.IntRange(1, 100_000_000),
            help="Recipients of the large audience.",
        ),
        options.sessions,
    ],
    smoke={"count": 200, "large": 1_000, "sessions": 20},
)
