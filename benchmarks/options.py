"""Options that scenarios share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click
from click.decorators import FC

size = click.option(
    "--size",
    metavar="OCTETS",
    default=4_096,
    type=click.IntRange(1_700, 10_000_000),
    help="Of a message on the wire.",
)
sessions = click.option(
    "--sessions", metavar="N", default=200, type=click.IntRange(1, 20_000), help="In parallel."
)
json_file = click.option(
    "--json",
    "json_file",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False, writable=True),
    help="Where the result goes; by default a new file in benchmarks/results.",
)
smoke = click.option(
    "--smoke", is_flag=True, help="A few messages: shows that it works, measures nothing."
)


def count(default: int) -> Callable[[FC], FC]:
    """How many messages a run sends."""
    return click.option(
        "--count",
        metavar="N",
        default=default,
        type=click.IntRange(1, 100_000_000),
        help="Messages of one run.",
    )


def many_sessions(default: int) -> Callable[[FC], FC]:
    """`sessions` with another default."""
    return click.option(
        "--sessions",
        metavar="N",
        default=default,
        type=click.IntRange(1, 20_000),
        help="In parallel, of each daemon.",
    )


def repetitions(default: int) -> Callable[[FC], FC]:
    """How often each run is made."""
    return click.option(
        "--repetitions",
        metavar="N",
        default=default,
        type=click.IntRange(1, 1_000),
        help="Of each run.",
    )


def number(name: str, default: int, help: str) -> Callable[[FC], FC]:
    """A whole number above 0."""
    return click.option(
        name, metavar="N", default=default, type=click.IntRange(1, 100_000_000), help=help
    )
