"""`lint`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import click
import orjson

from campaignd.audience.source import FileSource, Format
from campaignd.cli.settings import Settings, json_option, pass_settings
from campaignd.compose.campaign import load_campaign
from campaignd.lint import Finding, Level, check
from campaignd.wording import plural


@click.command()
@click.argument("file", metavar="CAMPAIGN.toml", type=click.Path(path_type=Path))
@click.option("--recipients", metavar="FILE", help="Compose it for everybody in this file, too.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["csv", "jsonl"]),
    help="Format of the recipients; by default the file's suffix says it, else it is CSV.",
)
@click.option("--dns", is_flag=True, help="Look up what the DNS has on DKIM, SPF and DMARC, too.")
@click.option(
    "--resolver", metavar="HOST[:PORT]", help="Name server to ask; default: the system's."
)
@click.option("--strict", is_flag=True, help="Exit status 1 on warnings, too.")
@json_option
@pass_settings
def lint(
    settings: Settings,
    file: Path,
    recipients: str | None,
    form: Format | None,
    dns: bool,
    resolver: str | None,
    strict: bool,
    as_json: bool,
) -> int:
    """Says what a mailbox provider would object to, with the rule and its source.

    An error is what a provider refuses, or what costs a recipient the message; a warning counts
    against it. `enqueue` looks at the same things, but for recipients and the DNS. Sends and
    stores nothing.

    Exit status 1 if there is an error.
    """
    if form is not None and recipients is None:
        raise click.UsageError("--format belongs to --recipients")
    if resolver is not None and not dns:
        raise click.UsageError("--resolver belongs to --dns")
    config = settings.load()
    spec = load_campaign(file)
    source = None if recipients is None else FileSource(recipients, form)
    found = asyncio.run(check(spec, config, source, dns=dns, resolver=resolver))
    errors = sum(finding.rule.level is Level.ERROR for finding in found)
    if as_json:
        click.echo(orjson.dumps(_facts(found, errors)).decode())
    else:
        for finding in found:
            click.echo(f"{finding.rule.level}: {line(finding)}")
        warnings = len(found) - errors
        click.echo(f"{plural(errors, 'error')}, {plural(warnings, 'warning')}")
    return 1 if errors or (strict and found) else 0


def line(finding: Finding) -> str:
    """A finding on one line, for people."""
    rule = finding.rule
    return f"{finding.where}: {finding.text} [{rule.id}: {rule.source}]"


def _facts(found: Sequence[Finding], errors: int) -> dict[str, object]:
    return {
        "errors": errors,
        "warnings": len(found) - errors,
        "findings": [
            {
                "level": finding.rule.level.value,
                "rule": finding.rule.id,
                "where": finding.where,
                "text": finding.text,
                "source": finding.rule.source,
            }
            for finding in found
        ],
    }
