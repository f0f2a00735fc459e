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
