"""`check`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

import click
import orjson

from campaignd import checks
from campaignd.checks import Finding
from campaignd.cli.settings import Settings, json_option, pass_settings


@click.command()
@json_option
@pass_settings
def check(settings: Settings, as_json: bool) -> int:
    """Says what of the set-up works and what does not, and what to change: the configuration,
    MySQL and its schema, Redis, and each relay with TLS and AUTH. Sends nothing.

    Exit status 1 if anything does not work.
    """
    config = settings.load()
    found = [Finding("config", True, str(config.path)), *asyncio.run(checks.everything(config))]
    if as_json:
        click.echo(orjson.dumps([finding._asdict() for finding in found]).decode())
    else:
        _print(found)
    return 0 if all(finding.works for finding in found) else 1


def _print(found: Sequence[Finding]) -> None:
    width = max(len(finding.what) for finding in found)
    for finding in found:
        mark = click.style("ok  ", fg="green") if finding.works else click.style("FAIL", fg="red")
        click.echo(f"{mark}  {finding.what:<{width}}  {finding.text}", color=sys.stdout.isatty())
        if finding.warning:
            warn = click.style("warn", fg="yellow")
            click.echo(
                f"{warn}  {finding.what:<{width}}  {finding.warning}", color=sys.stdout.isatty()
            )
