"""`suppress`: who must not be written to."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence

import click
import orjson

from campaignd.cli import suppress_files
from campaignd.cli.backends import store
from campaignd.cli.settings import Settings, json_option, pass_settings
from campaignd.cli.suppress_options import checked, list_options, owner_of, why_options
from campaignd.config import Config
from campaignd.errors import RowError, UsageError
from campaignd.model import SuppressionReason
from campaignd.store import suppressions
from campaignd.store.suppressions import Kind, Suppression
from campaignd.suppress.target import Meaning, parse, shown
from campaignd.wording import moment, plural, stamp


@click.group()
def suppress() -> None:
    """Lists of addresses and domains that are not written to.

    An account's list holds for its campaigns, the global one for all. Hosts obey a new entry
    within 5 seconds, also in campaigns that are running. Letter case never matters.
    """


suppress.add_command(suppress_files.import_)
suppress.add_command(suppress_files.export)


_addresses = click.argument("addresses", metavar="[ADDRESS]...", nargs=-1)
_domains = click.option(
    "--domain",
    "domains",
    metavar="DOMAIN",
    multiple=True,
    help="All addresses at this domain; with a dot in front, at those below it, too.",
)


@suppress.command()
@_addresses
@_domains
@list_options
@why_options(SuppressionReason.MANUAL)
@pass_settings
def add(
    settings: Settings,
    addresses: Sequence[str],
    domains: Sequence[str],
    account: str | None,
    everywhere: bool,
    reason: str,
    note: str,
) -> None:
    """Suppresses addresses or domains. Repeating it changes nothing."""
    owner = owner_of(account, everywhere)
    entries = _entries(addresses, domains, SuppressionReason[reason.upper()], checked(note))
    added = asyncio.run(_add(settings.load(), owner, entries))
    click.echo(f"{plural(added, 'entry', 'entries')} added, {len(entries) - added:,} there before")


@suppress.command()
@_addresses
@_domains
@list_options
@pass_settings
def remove(
    settings: Settings,
    addresses: Sequence[str],
    domains: Sequence[str],
    account: str | None,
    everywhere: bool,
) -> None:
    """Takes addresses or domains off a list.

    Says so if an address stays suppressed for another reason: by its domain, or globally.
    """
    owner = owner_of(account, everywhere)
    entries = _entries(addresses, domains, SuppressionReason.MANUAL, "")
    asyncio.run(_remove(settings.load(), owner, entries))


@suppress.command("list")
@click.argument("address", metavar="[ADDRESS]", required=False)
@list_options
@json_option
@pass_settings
def show(
    settings: Settings, address: str | None, account: str | None, everywhere: bool, as_json: bool
) -> None:
    """Prints a list, or all entries that keep an account from writing to one address.

    With an ADDRESS these are also the ones by domain, by hash, and of the global list.
    """
    owner = owner_of(account, everywhere)
    if address is not None:
        [entry] = _entries([address], (), SuppressionReason.MANUAL, "")
        address = entry.address
    asyncio.run(_list(settings.load(), owner, address, _json if as_json else _line))


def _entries(
    addresses: Sequence[str], domains: Sequence[str], reason: SuppressionReason, note: str
) -> list[Suppression]:
    given: list[tuple[Meaning, str]] = [("email", text) for text in addresses]
    given += [("domain", text) for text in domains]
    if not given:
        raise click.UsageError("name an ADDRESS or a --domain")
    entries = {}
    for meaning, text in given:
        try:
            entry = parse(meaning, text, reason, note)
        except RowError as error:
            raise UsageError(f"{text}: {error}") from None
        entries[entry.kind, entry.address.lower()] = entry
    return list(entries.values())


async def _add(config: Config, owner: str, entries: Sequence[Suppression]) -> int:
    async with store(config, connections=1) as db:
        return await suppressions.add(db, owner, entries)


async def _remove(config: Config, owner: str, entries: Sequence[Suppression]) -> None:
    async with store(config, connections=1) as db:
        for entry in entries:
            _, text = shown(entry)
            if entry.kind is Kind.ADDRESS:
                removed = await suppressions.lift(db, owner, entry.address)
            else:
                removed = await suppressions.remove(db, owner, [(entry.kind, entry.address)]) > 0
            click.echo(f"{text} {'is removed' if removed else 'was not on this list'}")
            if entry.kind is Kind.ADDRESS:
                for account, other in await suppressions.matching(db, owner, entry.address):
                    where = f"of account {account}" if account else "global"
                    _, by = shown(other)
                    click.echo(f"{text} stays suppressed: {by} ({where})", err=True)


async def _list(
    config: Config,
    owner: str,
    address: str | None,
    write: Callable[[str, Suppression], bytes],
) -> None:
    out = sys.stdout.buffer
    async with store(config, connections=1) as db:
        if address is not None:
            found = await suppressions.matching(db, owner, address)
            out.write(b"".join(write(account, entry) for account, entry in found))
            if not found:
                click.echo(f"{address} is not suppressed", err=True)
        else:
            async for page in suppressions.pages(db, owner):
                out.write(b"".join(write(owner, entry) for entry in page))
    out.flush()


def _line(account: str, entry: Suppression) -> bytes:
    at = "" if entry.at is None else moment(entry.at)
    words = (shown(entry)[1], entry.reason.label, at, account or "(global)", entry.note)
    return ("  ".join(filter(None, words)) + "\n").encode("utf-8", "replace")


def _json(account: str, entry: Suppression) -> bytes:
    meaning, text = shown(entry)
    facts = {
        meaning: text,
        "account": account,
        "reason": entry.reason.label,
        "at": None if entry.at is None else stamp(entry.at),
        "note": entry.note,
    }
    return orjson.dumps(facts, option=orjson.OPT_APPEND_NEWLINE)
