"""`preview` and `send-test`: what one recipient would get."""

from __future__ import annotations

import asyncio
import codecs
import os
import sys
import tempfile
import time
import webbrowser
from pathlib import Path
from typing import Final

import click
import msgspec
import orjson
import uvloop

from campaignd.audience.address import parse_address
from campaignd.audience.source import FileSource, Format
from campaignd.cli.settings import Settings, json_option, pass_settings
from campaignd.compose.campaign import load_campaign
from campaignd.compose.links import Links, load_links, trial_keys, trial_links
from campaignd.errors import RowError, TemplateError, UsageError
from campaignd.model import Outcome, Verdict
from campaignd.preview import Picked, compose, content, page, pick
from campaignd.preview import readable as as_text

_MARK: Final = "[test] "
_EXAMPLE: Final = Links(trial_keys(), "https://links.example.com", "bounces.example.com")
"""What stands for the links of a configuration that is not there."""

_file = click.Path(path_type=Path, dir_okay=False)
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
@click.option("--eml", metavar="FILE", type=_file, help="Write the message to this file instead.")
@click.option("--html", metavar="FILE", type=_file, help="Write its HTML to this file instead.")
@click.option("--open", "opened", is_flag=True, help="Show its HTML in the browser instead.")
@pass_settings
def preview(
    settings: Settings,
    file: Path,
    recipients: str,
    row: int,
    form: Format | None,
    readable: bool,
    eml: Path | None,
    html: Path | None,
    opened: bool,
) -> None:
    """Prints the message (RFC 5322) that one recipient would get. Needs no servers. Only Date,
    Message-ID, the tokens in links and the signature will differ.

    Links are those of the configuration, if there is one, else they lead to example.com. No key
    is needed.
    """
    spec = load_campaign(file)
    config = settings.load_if_any()
    links = _EXAMPLE if config is None else trial_links(config)
    picked = asyncio.run(pick(FileSource(recipients, form), row))
    message = content(compose(spec, picked, links=links).wire)
    if eml is not None:
        _write(eml, message)
    if html is not None or opened:
        _show(message, html, opened=opened)
    if readable:
        click.echo(as_text(message), nl=False)
    elif eml is None and html is None and not opened:
        out = sys.stdout.buffer
        out.write(message)
        out.flush()


def _show(message: bytes, path: Path | None, *, opened: bool) -> None:
    text = page(message)
    if text is None:
        raise UsageError("the campaign has no HTML: leave out --html and --open")
    data = codecs.BOM_UTF8 + text.encode("utf-8")
    if path is None:
        handle, name = tempfile.mkstemp(prefix="campaignd-preview-", suffix=".html")
        os.close(handle)
        path = Path(name)
    _write(path, data)
    if opened and not webbrowser.open(path.absolute().as_uri()):
        raise UsageError(f"no browser could be started: open {path} yourself")


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None


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
    relay answered. Its subject begins with [test]. Nothing is recorded, no recipient of the
    audience gets anything, and its links unsubscribe nobody.

    Exit status 1 unless the relay accepted it.
    """
    config = settings.load()
    spec = load_campaign(file)
    spec = msgspec.structs.replace(spec, subject=_MARK + spec.subject)
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
        composed = compose(spec, picked, links=load_links(config), run=int(time.time()))
    except TemplateError as error:
        lacks = recipients is None and "there is no column" in str(error)
        hint = "; give merge fields with --recipients FILE --row N" if lacks else ""
        raise TemplateError(f"{error}{hint}") from None
    from campaignd.single import deliver, signed

    verdict = uvloop.run(deliver(config, address, signed(config, spec, composed)))
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
