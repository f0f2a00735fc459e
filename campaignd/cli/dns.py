"""`dns`: the records to publish."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

import click
import idna
import msgspec
import orjson

from campaignd.cli.settings import Settings, json_option, pass_settings
from campaignd.config.sections import Domain
from campaignd.dns import Checked, Kind, Record, State, check, records
from campaignd.errors import UsageError

_MARKS = {
    State.OK: ("ok  ", "green"),
    State.MISSING: ("FAIL", "red"),
    State.WRONG: ("FAIL", "red"),
    State.UNKNOWN: ("????", "yellow"),
}


@click.command()
@click.argument("domain")
@click.option("--check", "look", is_flag=True, help="Look them up, and say what differs.")
@click.option(
    "--resolver", metavar="HOST[:PORT]", help="Name server to ask; default: the system's."
)
@json_option
@pass_settings
def dns(settings: Settings, domain: str, look: bool, resolver: str | None, as_json: bool) -> int:
    """Prints the DNS records that mail from DOMAIN needs, as lines of a zone file: the keys that
    sign (DKIM), who may send (SPF), what receivers should do with the rest (DMARC), and where
    bounces and links lead. Where the configuration does not tell an address, there is an example.

    Exit status 1 if --check finds one that is missing or wrong, or gets no answer.
    """
    if resolver is not None and not look:
        raise click.UsageError("--resolver belongs to --check")
    config = settings.load()
    needed = records(config, _ascii(domain))
    if not any(record.kind is Kind.DKIM for record in needed):
        click.echo(f"no [[dkim]] key signs for {domain}", err=True)
    if not look:
        if as_json:
            click.echo(orjson.dumps([_facts(record) for record in needed]).decode())
        else:
            _print(needed)
        return 0
    found = asyncio.run(check(needed, resolver))
    if as_json:
        facts = [{**_facts(record), "state": state, "text": text} for record, state, text in found]
        click.echo(orjson.dumps(facts).decode())
    else:
        _print_checked(found)
    return 0 if all(each.state is State.OK for each in found) else 1


def _ascii(domain: str) -> str:
    name = domain.rstrip(".")
    try:
        if not name.isascii():
            name = idna.encode(name, uts46=True).decode("ascii")
        return msgspec.convert(name, Domain).lower()
    except (idna.IDNAError, msgspec.ValidationError):
        raise UsageError(f"{domain!r} is not a domain: write one like example.com") from None


def _facts(record: Record) -> dict[str, object]:
    return {**record._asdict(), "strings": record.strings if record.type == "TXT" else None}


def _print(needed: Sequence[Record]) -> None:
    for record in needed:
        click.echo(f"; {record.kind}: {record.about}\n{record.line}")


def _print_checked(found: Sequence[Checked]) -> None:
    width = max(len(record.name) for record, _, _ in found)
    for record, state, text in found:
        word, colour = _MARKS[state]
        mark = click.style(word, fg=colour)
        click.echo(
            f"{mark}  {record.kind:<7}  {record.name:<{width}}  {text}", color=sys.stdout.isatty()
        )
