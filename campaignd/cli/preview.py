"""`preview` and `send-test`: what one recipient would get."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

import click
import orjson
import uvloop

from campaignd.audience.address import parse_address
from campaignd.audience.source import FileSource, Format
from campaignd.cli.settings import Settings, json_option, pass_settings
from campaignd.compose.campaign import load_campaign
from campaignd.errors import RowError, TemplateError, UsageError
from campaignd.model import Outcome, Verdict
from campaignd.preview import Picked, compose, content, pick
from campaignd.preview import readable as as_text

_campaign = click.argument("file", metavar="CAMPAIGN.toml", type=click.Path(path_type=Path))
_row = click.option(
    "--row",
    metavar="N",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Which row, counted from 1 without the CSV header.",
)
_format = click.option(
    "--format",
    "form",
    type=click.Choice(["csv", "jsonl"]),
    help="Format of the recipients; by default the file's suffix says it, else it is CSV.",
)


@click.command()
@_campaign
@click.option(
    "--recipients", metavar="FILE", required=True, help="CSV or JSON Lines; - is standard input."
)
@_row
@_format
@click.option("--readable", is_flag=True, help="Decode headers and parts, for reading.")
def preview(file: Path, recipients: str, row: int, form: Format | None, readable: bool) -> None:
    """Prints the message (RFC 5322) that one recipient would get. Needs neither configuration
    nor servers. Only Date and Message-ID will differ."""
    spec = load_campaign(file)
    picked = asyncio.run(pick(FileSource(recipients, form), row))
    message = content(compose(spec, picked)[0].message)
    if readable:
        click.echo(as_text(message), nl=False)
    else:
        out = sys.stdout.buffer
        out.write(message)
        out.flush()


@click.command("send-test")
@_campaign
@click.option("--to", metavar="ADDRESS", required=True, help="Who gets the message.")
@click.option("--recipients", metavar="FILE", help="Whose merge fields to use; - is stdin.")
@_row
@_format
@json_option
@pass_settings
def send_test(
    settings: Settings,
    file: Path,
    to: str,
    recipients: str | None,
    row: int,
    form: Format | None,
    as_json: bool,
) -> int:
    """Sends one message through the configured relays, as the daemon would, and says what the
    relay answered. Nothing is recorded, and no recipient of the audience gets anything.

    Exit status 1 unless the relay accepted it.
    """
    config = settings.load()
    spec = load_campaign(file)
    try:
        address = parse_address(to).mailbox
    except RowError as error:
        raise UsageError(f"--to {to}: {error}") from None
    picked = Picked(1, address, (), ())
    if recipients is not None:
        found = asyncio.run(pick(FileSource(recipients, form), row))
        picked = found._replace(address=address)
    try:
        # By the second, so that mail systems do not take a second test for the first one.
        composed, sender = compose(spec, picked, run=int(time.time()))
    except TemplateError as error:
        hint = "" if recipients else "; give merge fields with --recipients FILE --row N"
        raise TemplateError(f"{error}{hint}") from None
    from campaignd.single import deliver

    verdict = uvloop.run(deliver(config, sender, address, composed))
    if as_json:
        facts = {**verdict._asdict(), "outcome": verdict.outcome.label}
        click.echo(orjson.dumps(facts).decode())
    else:
        click.echo(_said(verdict))
    return 0 if verdict.outcome is Outcome.ACCEPTED else 1


def _said(verdict: Verdict) -> str:
    relay = f" by relay {verdict.relay}" if verdict.relay else ""
    code = f"{verdict.code} " if verdict.code else ""
    return f"{verdict.outcome.label}{relay}: {code}{verdict.text}"
