"""A point in time as an option's value."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

import click

_DATE: Final = re.compile(r"[\dW-]+")
"""ISO 8601 dates: of the calendar, or of a week."""


def moment_option(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """An option's callback: ISO 8601 with a zone, or without one in this machine's local time;
    as epoch seconds. A date alone is refused: midnight is hardly ever what is meant."""
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value.strip()).timestamp()
    except (ValueError, OverflowError, OSError):
        moment = None
    if moment is None or _DATE.fullmatch(value.strip()):
        raise click.BadParameter(
            f"{value!r} is not a time: write 2026-11-27T08:00+01:00, or 2026-11-27T08:00 for"
            " local time",
            ctx,
            param,
        )
    return moment
