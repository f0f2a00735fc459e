"""Tables of results in Markdown, on standard output or into the marked places of a document.

A place begins with `<!-- figures: NAME... -->` and ends with `<!-- end of figures -->`; what is
between is made anew from the results of these scenarios.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import click
import msgspec

from benchmarks import full
from benchmarks.errors import BenchmarkError
from benchmarks.findings import rows
from benchmarks.report import Result

PLACE: Final = re.compile(
    r"(<!-- figures: (?P<names>[a-z -]+?) -->\n).*?(<!-- end of figures -->)", re.DOTALL
)

HEADINGS: Final = ("", "median", "range of the runs", "target", "met")


@click.command()
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=full.FOLDER,
    help="Where the results are.",
)
@click.option(
    "--into",
    metavar="FILE",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="The document whose marked places are filled; by default all is printed.",
)
def render(folder: Path, into: Path | None) -> None:
    """Makes tables of results, to be pasted or right into a document."""
    results = read(folder)
    if into is None:
        click.echo(table(results.values()))
        return
    text = into.read_text("utf-8")
    into.write_text(fill(text, results), "utf-8")


def read(folder: Path) -> dict[str, Result]:
    """Results by scenario. Raises BenchmarkError if there are none."""
    found = {}
    for step in full.STEPS:
        file = folder / f"{step.name}.json"
        if file.exists():
            found[step.name] = msgspec.json.decode(file.read_bytes(), type=Result)
    if not found:
        raise BenchmarkError(f"no results in {folder}: run `python -m benchmarks full`")
    return found


def fill(text: str, results: dict[str, Result]) -> str:
    """The document with all places made anew for which there are results."""

    def place(match: re.Match[str]) -> str:
        names = match["names"].split()
        wanted = [results[name] for name in names if name in results]
        if not wanted:
            return match[0]
        return f"{match[1]}{provenance(wanted)}\n\n{table(wanted)}\n{match[3]}"

    return PLACE.sub(place, text)


def provenance(results: Sequence[Result]) -> str:
    """Where these figures come from."""
    commits = " and ".join(sorted({result.machine.commit for result in results}))
    here, first = results[0].machine, min(result.at for result in results)
    return (
        f"{here.processor}, {here.cores} cores, {here.memory}; {here.system}, Linux"
        f" {here.kernel}, Python {here.python}; commit {commits}, {first:%Y-%m-%d}."
    )


def table(results: Iterable[Result]) -> str:
    """All findings, in Markdown."""
    lines = [_row(HEADINGS), _row(["---", *["---:"] * (len(HEADINGS) - 1)])]
    lines += [_row(row) for result in results for row in rows(result.findings)]
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
