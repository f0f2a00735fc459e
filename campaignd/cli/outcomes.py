"""`outcomes`: the ledger, as a stream of lines."""

from __future__ import annotations

import asyncio
import csv
import io
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Final

import click
import orjson

from campaignd.audience.address import parse_address
from campaignd.cli.backends import store
from campaignd.cli.settings import Settings, campaign_argument, pass_settings
from campaignd.config import Config
from campaignd.errors import RowError, UsageError
from campaignd.model import Outcome
from campaignd.smtp.bounces import Bounce, classify
from campaignd.spreadsheet import cell
from campaignd.store import campaigns, purge
from campaignd.store import outcomes as ledger
from campaignd.store.db import Database
from campaignd.store.outcomes import Line
from campaignd.wording import stamp

COLUMNS: Final = (
    "address",
    "outcome",
    "code",
    "enhanced",
    "response",
    "bounce",
    "attempt",
    "at",
    "host",
    "relay",
    "maybe_duplicate",
    "events",
)


@click.command()
@campaign_argument
@click.option(
    "--outcome",
    type=click.Choice([outcome.label for outcome in Outcome]),
    help="Only attempts that came to this.",
)
@click.option(
    "--bounce",
    type=click.Choice([bounce.value for bounce in Bounce]),
    help="Only attempts that were refused for this kind of reason.",
)
@click.option("--address", metavar="ADDRESS", help="Only attempts at this recipient.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["csv", "jsonl"]),
    default="csv",
    show_default=True,
    help="CSV, safe for spreadsheets, or JSON Lines with the exact text.",
)
@pass_settings
def outcomes(
    settings: Settings,
    campaign: int,
    outcome: str | None,
    bounce: str | None,
    address: str | None,
    form: str,
) -> None:
    """Prints a line for each recorded attempt, in the order of the audience.

    Recipients who are still pending have none. A recipient's outcome is `accepted` if any attempt
    was, else that of the last attempt. Bounces, complaints and unsubscribes that came later are in
    `events`, on the last line of their recipient.
    """
    wanted = None if outcome is None else Outcome[outcome.upper()]
    asyncio.run(_print(settings.load(), campaign, wanted, bounce, address, form))


def to_jsonl(lines: Sequence[Line]) -> bytes:
    """JSON Lines in UTF-8."""
    return b"".join(
        orjson.dumps(
            dict(zip(COLUMNS, _values(line), strict=True)), option=orjson.OPT_APPEND_NEWLINE
        )
        for line in lines
    )


def to_csv(lines: Sequence[Line]) -> bytes:
    """CSV in UTF-8, without a header."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    for line in lines:
        address, outcome, code, enhanced, response, *rest, marked, events = _values(line)
        marked = "true" if marked else "false"
        told = "; ".join(" ".join(filter(None, event.values())) for event in events)
        writer.writerow(
            (cell(address), outcome, code, enhanced, cell(response), *rest, marked, told)
        )
    return text.getvalue().encode("utf-8", "replace")


_ENCODERS: Final[dict[str, Callable[[Sequence[Line]], bytes]]] = {
    "csv": to_csv,
    "jsonl": to_jsonl,
}


def _values(line: Line) -> tuple[Any, ...]:
    return (
        line.address,
        line.outcome.label,
        line.code,
        line.enhanced,
        line.response,
        _class(line),
        line.attempt,
        stamp(line.at),
        line.host,
        line.relay,
        line.maybe_duplicate,
        [
            {**happened._asdict(), "event": happened.event.value, "at": stamp(happened.at)}
            for happened in line.events
        ],
    )


def _class(line: Line) -> str:
    """What kind of refusal it was, or an empty string. Found out here, so that it is as good as the
    table of today."""
    return classify(line.code, line.enhanced, line.response).value if line.code >= 400 else ""


async def _print(
    config: Config,
    campaign: int,
    outcome: Outcome | None,
    bounce: str | None,
    address: str | None,
    form: str,
) -> None:
    async with store(config, connections=1) as db:
        found = await campaigns.get(db, campaign)
        if found.reason == purge.REASON:
            click.echo(f"warning: campaign {campaign} is {found.reason}", err=True)
        parts = ledger.attempts(db, campaign, outcome)
        if address is not None:
            parts = _only(db, campaign, outcome, address)
        out = sys.stdout.buffer
        header = ",".join(COLUMNS).encode() + b"\n" if form == "csv" else b""
        async for lines in parts:
            if bounce is not None:
                lines = [line for line in lines if _class(line) == bounce]
            out.write(header + _ENCODERS[form](lines))
            header = b""
        out.write(header)
        out.flush()


async def _only(
    db: Database, campaign: int, outcome: Outcome | None, address: str
) -> AsyncIterator[list[Line]]:
    """The attempts at one recipient."""
    found = await ledger.attempts_at(db, campaign, _key(address), outcome)
    if found is None:
        raise UsageError(f"{address} is not in the audience of campaign {campaign}")
    if not found and outcome is None:
        click.echo(f"{address} is pending: no attempt is recorded yet", err=True)
    yield found


def _key(address: str) -> bytes:
    try:
        return parse_address(address).key
    except RowError as error:
        raise UsageError(f"--address {address}: {error}") from None
