"""Messages a second and CPU time for each: campaignd end to end against two bare senders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import click

from benchmarks import machine, options, report
from benchmarks.candidates import Candidate, SmtpSource, aiosmtplib_loop
from benchmarks.experiment import Entry, Plan, interleave
from benchmarks.figures import Reading
from benchmarks.findings import Finding, relative
from benchmarks.receiver import Receiver
from benchmarks.workshop import Workshop

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
@click.option(
    "--without-aiosmtplib", is_flag=True, help="It takes three times as long as the rest."
)
def throughput(
    count: int,
    size: int,
    sessions: int,
    repetitions: int,
    json_file: Path | None,
    smoke: bool,
    profile: Path | None,
    without_aiosmtplib: bool,
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
    with Workshop(size) as workshop:
        candidates: list[Candidate] = [workshop.campaignd(profile=profile)]
        if profile is None:
            folder, message = workshop.box.folder, workshop.material
            candidates.append(SmtpSource(folder, message, plan.sessions))
            if not without_aiosmtplib:
                candidates.append(aiosmtplib_loop(folder, message, plan.sessions))
        entries = [
            Entry(candidate, lambda: Receiver(workshop.supervisor, plan.sessions))
            for candidate in candidates
        ]
        runs = interleave(entries, plan)
        settings = {**plan._asdict(), "size": workshop.size, "profiled": bool(profile)}
    found = [] if smoke or profile is not None else findings(runs)
    report.publish(
        report.summarise("throughput", machine.describe(), settings, runs, found), json_file
    )


def findings(runs: Mapping[str, Sequence[Reading]]) -> list[Finding]:
    """Against the targets, which are for 200 sessions."""
    mine, its = runs["campaignd"], runs["smtp-source"]
    rates = [run.rate for run in mine]
    return [
        Finding(
            what="end to end against smtp-source",
            unit="times",
            values=relative(rates, [run.rate for run in its]),
            at_least=0.9,
        ),
        Finding(what="end to end", unit="messages/s", values=rates, at_least=11_574),
        Finding(
            what="daemon's CPU for a message",
            unit="us",
            values=[run.cpu_us for run in mine],
            at_most=65,
        ),
        Finding(
            what="peak memory, 200 sessions",
            unit="MiB",
            values=[max(run.peak_memory_kib for run in mine) / 1024],
            at_most=95.4,  # 100 MB
        ),
    ]
