"""The scenarios, one subcommand each."""

from __future__ import annotations

import logging
import resource
import subprocess
import sys
from typing import Final

import click

from benchmarks import charts, full, memory, render, throughput
from benchmarks.distant import NoLine
from benchmarks.errors import BenchmarkError
from benchmarks.scenario import DEFAULT_SIZE
from benchmarks.scenarios.all import SCENARIOS
from benchmarks.workshop import Workshop
from campaignd.errors import CampaigndError

SHARES: Final = 2
"""Processes that try all scenarios between them, beside two for the older ones."""


@click.group(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
def benchmarks() -> None:
    """Measures campaignd against its peers, on servers of its own."""


benchmarks.add_command(throughput.throughput)
benchmarks.add_command(memory.memory)
for scenario in SCENARIOS:
    benchmarks.add_command(scenario.command())
for command in (full.full, render.render, charts.charts):
    benchmarks.add_command(command)


@benchmarks.command()
@click.argument("names", nargs=-1, type=click.Choice([scenario.name for scenario in SCENARIOS]))
def smoke(names: tuple[str, ...]) -> None:
    """A few messages through each scenario: shows that they work, measures nothing.

    NAMES are the only ones to try. Without them all are tried, several processes side by side.
    """
    if not names:
        _side_by_side()
        return
    able = []
    for scenario in SCENARIOS:
        if scenario.name not in names:
            continue
        try:
            scenario.prepare()
        except NoLine as error:
            click.echo(f"{scenario.name}: left out: {error}")
        else:
            able.append(scenario)
    with Workshop(DEFAULT_SIZE) as workshop:
        for scenario in able:
            scenario.try_out(workshop)


def _side_by_side() -> None:
    """A smoke waits half of its time for servers to start and stop."""
    every = [scenario.name for scenario in SCENARIOS]
    orders = [
        *(["smoke", *every[share::SHARES]] for share in range(SHARES)),
        ["throughput", "--smoke"],
        ["memory", "--smoke"],
    ]
    running = [subprocess.Popen([sys.executable, "-m", "benchmarks", *order]) for order in orders]
    failed = [" ".join(one.args) for one in running if one.wait()]  # type: ignore[arg-type]
    if failed:
        raise BenchmarkError(f"failed: {'; '.join(failed)}")


def main() -> int:
    """Runs a scenario; 1 if it could not be measured or the results do not agree."""
    logging.basicConfig(format="%(message)s", level=logging.INFO)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # a session is a descriptor
    try:
        benchmarks.main(prog_name="python -m benchmarks", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return 130
    except (BenchmarkError, CampaigndError) as error:
        click.echo(f"error: {error}", err=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
