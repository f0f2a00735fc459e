"""What all scenarios have in common: a command, a smoke, a result."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import click
import msgspec

from benchmarks import machine, options, report
from benchmarks.figures import Reading
from benchmarks.findings import Finding
from benchmarks.report import Result
from benchmarks.workshop import Workshop

DEFAULT_SIZE: Final = 4_096


class Measured(NamedTuple):
    """What a scenario found out."""

    findings: Sequence[Finding]
    runs: Mapping[str, Sequence[Reading]] = {}
    details: Mapping[str, Any] = {}


class Scenario(NamedTuple):
    """`measure` takes a workshop and the values of `options` by name. Its text is the command's
    help."""

    name: str
    measure: Callable[..., Measured]
    options: Sequence[Callable[..., Any]]
    smoke: Mapping[str, Any]
    """Values for a run of a few messages, which shows that it works and measures nothing."""
    full: Mapping[str, Any] = {}
    """Values that `full` uses instead of the defaults."""
    servers: Mapping[str, Any] = {}
    """For the sandbox."""
    prepare: Callable[[], None] = lambda: None
    """Called before any server is started."""

    def command(self) -> click.Command:
        """The subcommand."""

        def run(json_file: Path | None, smoke: bool, **settings: Any) -> None:
            size = settings.pop("size")
            if smoke:
                self.try_out()
            else:
                report.publish(self.result(size, settings), json_file)

        made: Any = run
        for option in (options.smoke, options.json_file, options.size, *reversed(self.options)):
            made = option(made)
        command: click.Command = click.command(self.name, help=self.measure.__doc__)(made)
        return command

    def result(self, size: int, settings: Mapping[str, Any]) -> Result:
        """Measures on servers of its own. Raises BenchmarkError if what was sent is not what
        arrived."""
        self.prepare()
        with Workshop(size, **self.servers) as workshop:
            measured = self.measure(workshop, **settings)
            size = workshop.size
        return report.summarise(
            self.name,
            machine.describe(),
            {"size": size, **settings},
            measured.runs,
            measured.findings,
            measured.details,
        )

    def defaults(self) -> dict[str, Any]:
        """What `full` measures with."""
        command = self.command()
        values = {
            parameter.name: parameter.get_default(click.Context(command))
            for parameter in command.params
            if parameter.name not in (None, "json_file", "smoke", "help", "size")
        }
        return {**values, **self.full}

    def try_out(self, workshop: Workshop | None = None) -> None:
        """The smoke, in a workshop that is there or in one of its own."""
        if workshop is None:
            self.prepare()
            with Workshop(DEFAULT_SIZE, **self.servers) as own:
                self.try_out(own)
        else:
            measured = self.measure(workshop, **self.smoke)
            msgspec.json.encode(measured, enc_hook=str)  # what a result is made of
            click.echo(f"{self.name}: works")
