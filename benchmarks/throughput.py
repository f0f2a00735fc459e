"""Messages a second and CPU time for each: campaignd end to end against two bare senders."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from benchmarks import machine, material, options, report
from benchmarks.candidates import AiosmtplibLoop, Candidate, SmtpSource
from benchmarks.experiment import Plan, interleave
from benchmarks.subject import Campaignd
from campaignd.sandbox.box import Sandbox

SMOKE: Final = Plan(repetitions=1, messages=500, warm_up=0, sessions=20)
WARM_UP_SHARE: Final = 5
"""A warm-up sends a fifth of a run's messages."""


@click.command()
@options.count(30_000)
@options.size
@options.sessions
@click.option(
    "--repetitions", metavar="N", default=5, type=click.IntRange(1, 1_000), help="Of each run."
)
@options.json_file
@options.smoke
@click.option(
    "--profile",
    metavar="SVG",
    type=click.Path(path_type=Path, dir_okay=False, writable=True),
    help="Draws where the daemon's time goes, by py-spy; campaignd runs once, without peers.",
)
def throughput(
    count: int,
    size: int,
    sessions: int,
    repetitions: int,
    json_file: Path | None,
    smoke: bool,
    profile: Path | None,
) -> None:
    """campaignd end to end against smtp-source and a bare aiosmtplib loop.

    MySQL to durable ledger, personalised text and HTML, to Postfix's smtp-sink. The peers send
    one ready-made message of the same size to the same sink.
    """
    plan = Plan(repetitions, count, count // WARM_UP_SHARE, sessions)
    if smoke:
        plan = SMOKE
    if profile is not None:
        plan = plan._replace(repetitions=1, warm_up=0)
    with Sandbox() as box:
        message = material.make(box.folder, size)

        def recipients(wanted: int) -> Path:
            path = box.folder / f"recipients-{wanted}.csv"
            if not path.exists():
                material.write_recipients(path, wanted)
            return path

        candidates: list[Candidate] = [
            Campaignd(box, message.campaign, recipients, plan.sessions, profile)
        ]
        if profile is None:
            candidates += [
                SmtpSource(box.folder, message, plan.sessions),
                AiosmtplibLoop(box.folder, message, plan.sessions),
            ]
        runs = interleave(candidates, plan, box.supervisor)
    settings = {**plan._asdict(), "size": round(message.mean_size), "profiled": bool(profile)}
    result = report.summarise("throughput", machine.describe(), settings, runs)
    report.show(report.table(result), "", result.machine)
    click.echo(f"written to {report.write(result, 'throughput', json_file)}")
