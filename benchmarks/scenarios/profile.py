"""The daemon's time by stage, against the budget of the design."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

import click

from benchmarks import options, stages
from benchmarks.experiment import Entry
from benchmarks.experiment import measure as run
from benchmarks.findings import Finding
from benchmarks.profile import py_spy
from benchmarks.receiver import Receiver
from benchmarks.scenario import Measured, Scenario
from benchmarks.workshop import Workshop


def measure(
    workshop: Workshop, *, count: int, sessions: int, raw: Path | None, sampled: bool
) -> Measured:
    """Microseconds for a message by stage: read, compose, SMTP, record and the rest.

    The shares are those of a run that py-spy samples; the whole is that of a run of the same
    length that it does not, as sampling slows the daemon down.
    """

    def receiver() -> Receiver:
        return Receiver(workshop.supervisor, sessions)

    plain = run(Entry(workshop.campaignd(), receiver), count)
    if not sampled:
        return Measured([], {"campaignd": [plain]})
    py_spy()
    file = workshop.box.folder / "profile.raw"
    run(Entry(workshop.campaignd("sampled", profile=file), receiver), count)
    if raw is not None:
        shutil.copyfile(file, raw)
    with file.open() as lines:
        samples = stages.by_stage(lines)
    found = stages.microseconds(samples, plain.cpu_us)
    return Measured(
        [
            *(
                Finding(
                    what=f"daemon's CPU for a message: {stage}",
                    unit="us",
                    values=[value],
                    at_most=stages.BUDGET_US[stage],
                )
                for stage, value in found.items()
            ),
            Finding(
                what="daemon's CPU for a message: all", unit="us", values=[plain.cpu_us], at_most=65
            ),
        ],
        {"campaignd": [plain]},
        {"stages": found, "samples": sum(samples.values())},
    )


SCENARIO: Final = Scenario(
    "profile",
    measure,
    [
        options.count(100_000),
        options.sessions,
        click.option(
            "--raw", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
            help="Keeps what py-spy has seen.",
        ),
        click.option("--sampled/--not-sampled", default=True, help="With py-spy, or without."),
    ],
    smoke={"count": 200, "sessions": 10, "raw": None, "sampled": False},
)  # fmt: skip
