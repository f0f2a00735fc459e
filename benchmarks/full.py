"""All of it: each scenario as a process of its own, one after the other, into one folder."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import click

from benchmarks import machine, report
from benchmarks.errors import BenchmarkError
from benchmarks.scenarios.all import SCENARIOS

FOLDER: Final = report.FOLDER / "full"

STEP_TIMEOUT: Final = 3_600.0
"""Seconds for one scenario; the longest takes ten minutes."""

_log: Final = logging.getLogger("benchmarks")


class Step(NamedTuple):
    """A subcommand and what it is told."""

    name: str
    options: Mapping[str, Any]


STEPS: Final = (
    Step("throughput", {"count": 300_000, "without_aiosmtplib": True}),
    Step("memory", {"count": 300_000}),
    *(Step(scenario.name, scenario.full) for scenario in SCENARIOS),
)
"""About 35 minutes on two cores."""


@click.command()
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=FOLDER,
    help="Where the results go. What is there already is not measured again.",
)
@click.option(
    "--only",
    metavar="NAME",
    multiple=True,
    type=click.Choice([step.name for step in STEPS]),
    help="This scenario; may be given several times.",
)
@click.option("--again", is_flag=True, help="Measures also what is there already.")
def full(folder: Path, only: tuple[str, ...], again: bool) -> None:
    """Every scenario; can be interrupted and goes on where it was.

    `render` makes tables of the results, `charts` draws them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    failed = []
    for step in STEPS:
        file = folder / f"{step.name}.json"
        if only and step.name not in only:
            continue
        if file.exists() and not again:
            _log.info("%s: there already", step.name)
            continue
        started = time.monotonic()
        _log.info("%s", step.name)
        if not _measure(step, file):
            failed.append(step.name)
        _log.info("%s: %.0f s", step.name, time.monotonic() - started)
    if failed:
        raise BenchmarkError(f"no result of {', '.join(failed)}")


def _measure(step: Step, file: Path) -> bool:
    """A result appears in one piece, so that an interrupted one is not taken for a whole."""
    part = file.with_suffix(".part")
    command = [sys.executable, "-m", "benchmarks", step.name, "--json", str(part)]
    done = subprocess.run(
        [*command, *arguments(step.options)], cwd=machine.PROJECT, timeout=STEP_TIMEOUT
    )
    if done.returncode == 0:
        part.replace(file)
    return done.returncode == 0


def arguments(options: Mapping[str, Any]) -> list[str]:
    """As a command line has them: underscores are dashes, and True is a flag."""
    words: list[str] = []
    for name, value in options.items():
        words.append("--" + name.replace("_", "-"))
        if value is not True:
            words.append(str(value))
    return words
