"""A scenario's result as a table for people and as JSON for everything else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
from rich.console import Console
from rich.table import Table

from benchmarks.figures import Medians, Reading, ratio
from benchmarks.findings import Finding, rows
from benchmarks.machine import Machine

FOLDER: Final = Path(__file__).parent / "results"


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What is written as JSON."""

    scenario: str
    at: datetime
    machine: Machine
    options: dict[str, Any]
    findings: list[Finding] = []
    runs: dict[str, list[Reading]] = {}
    medians: dict[str, Medians] = {}
    ratios: dict[str, float] = {}
    """The first candidate's rate as a multiple of each other one's."""
    details: dict[str, Any] = {}
    """What only this scenario has, such as the points of a curve."""


def summarise(
    scenario: str,
    machine: Machine,
    options: dict[str, Any],
    runs: Mapping[str, Sequence[Reading]],
    findings: Sequence[Finding] = (),
    details: Mapping[str, Any] | None = None,
) -> Result:
    """The subject of the measurement is the first of `runs`, the others are its peers. Those that
    did as much as it are compared with it."""
    subject, *peers = runs or [""]
    return Result(
        scenario=scenario,
        at=datetime.now(UTC),
        machine=machine,
        options=options,
        findings=list(findings),
        runs={name: list(readings) for name, readings in runs.items()},
        medians={name: Medians.of(readings) for name, readings in runs.items()},
        ratios={
            peer: ratio(runs[subject], runs[peer])
            for peer in peers
            if [run.messages for run in runs[peer]] == [run.messages for run in runs[subject]]
        },
        details=dict(details or {}),
    )


def table(result: Result) -> Table:
    """One row for each candidate."""
    grid = Table(title=result.scenario)
    grid.add_column("")
    for heading in (
        "messages/s",
        "slowest-fastest",
        "CPU us/message",
        "receiver us",
        "database us",
        "peak MiB",
        "rate, as a multiple",
    ):
        grid.add_column(heading, justify="right")
    for name, found in result.medians.items():
        multiple = result.ratios.get(name)
        grid.add_row(
            name,
            f"{found.rate:,.0f}",
            f"{found.slowest_rate:,.0f}-{found.fastest_rate:,.0f}",
            f"{found.cpu_us:.1f}",
            f"{found.receiver_cpu_us:.1f}",
            f"{found.database_cpu_us:.1f}" if found.database_cpu_us else "",
            f"{found.peak_memory_mib:.0f}",
            "" if multiple is None else f"{multiple:.2f} x this",
        )
    return grid


def findings_table(result: Result) -> Table:
    """One row for each figure."""
    grid = Table(title=f"{result.scenario}: figures")
    grid.add_column("")
    for heading in ("median", "range", "target", "met"):
        grid.add_column(heading, justify="right")
    for row in rows(result.findings):
        grid.add_row(*row)
    return grid


def publish(result: Result, path: Path | None) -> None:
    """Prints the tables of a scenario and writes its JSON."""
    grids = [table(result)] if result.runs else []
    if result.findings:
        grids.append(findings_table(result))
    for grid in grids:
        console().print(grid)
    console().print(result.machine.summary, highlight=False)
    console().print(f"written to {write(result, result.scenario, path)}", highlight=False)


def write(result: Any, scenario: str, path: Path | None) -> Path:
    """As JSON to `path`, by default to a new file in FOLDER; returns where."""
    if path is None:
        FOLDER.mkdir(exist_ok=True)
        path = FOLDER / f"{scenario}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    path.write_bytes(
        msgspec.json.format(msgspec.json.encode(result, enc_hook=str), indent=2) + b"\n"
    )
    return path


def show(grid: Table, text: str, machine: Machine) -> None:
    """On standard output."""
    out = console()
    out.print(grid)
    for line in filter(None, (text, machine.summary)):
        out.print(line, highlight=False)


def console() -> Console:
    """Standard output, not wrapped when that is a file."""
    found = Console()
    return found if found.is_terminal else Console(width=160)
