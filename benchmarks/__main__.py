"""The scenarios, one subcommand each."""

from __future__ import annotations

import logging
import resource
import sys

import click

from benchmarks import charts, full, memory, render, throughput
from benchmarks.distant import NoLine
from benchmarks.errors import BenchmarkError
from benchmarks.scenario import DEFAULT_SIZE
from benchmarks.scenarios.all import SCENARIOS
from benchmarks.workshop import Workshop
from campaignd.errors import CampaigndError


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
def smoke() -> None:
    """A few messages through each scenario: shows that they work, measures nothing."""
    able = []
    for scenario in SCENARIOS:
        try:
            scenario.prepare()
        except NoLine as error:
            click.echo(f"{scenario.name}: left out: {error}")
        else:
            able.append(scenario)
    with Workshop(DEFAULT_SIZE) as workshop:
        for scenario in able:
            scenario.try_out(workshop)


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
