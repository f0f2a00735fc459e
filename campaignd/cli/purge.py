"""`purge`."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

import click
import orjson

from campaignd.cli.backends import store
from campaignd.cli.settings import Settings, json_option, pass_settings
from campaignd.config import Config
from campaignd.store import purge as purging
from campaignd.store.purge import Due, Ended, Report
from campaignd.wording import moment, plural

MOST_DAYS: Final = 10_000
"""27 years: older than any campaign, and not before 1970."""


class _Done(NamedTuple):
    due: Due
    """What was deleted, or would be."""
    rows: int
    seconds: float


@click.command()
@click.option(
    "--older-than",
    "days",
    metavar="DAYS",
    type=click.IntRange(1, MOST_DAYS),
    required=True,
    help="Campaigns that ended longer ago than this.",
)
@click.option("--account", metavar="NAME", help="Only of this account.")
@click.option("--dry-run", is_flag=True, help="Say what would be deleted, and delete nothing.")
@json_option
@pass_settings
def purge(settings: Settings, days: int, account: str | None, dry_run: bool, as_json: bool) -> None:
    """Deletes finished and cancelled campaigns for good, with their recipients, outcomes and
    events, and soft failures that are as old. Suppressions stay.

    Safe beside daemons; one that was interrupted is simply repeated. Links to a campaign that was
    deleted no longer work, and its `--key` may be used again.
    """
    config = settings.load()
    if days <= config.bounces.soft_days:
        click.echo(
            f"warning: soft failures of over {days} days are deleted, too; with"
            f" soft_days = {config.bounces.soft_days:g} in [bounces] they suppress nobody",
            err=True,
        )
    if dry_run:
        _tell_due(asyncio.run(_look(config, days, account, quiet=as_json)), as_json)
    else:
        _tell_done(asyncio.run(_purge(config, days, account)), as_json)


async def _look(config: Config, days: int, account: str | None, *, quiet: bool) -> Due:
    async with store(config, connections=1) as db:
        before = await purging.days_ago(db, days)
        if not quiet:
            async for campaign in purging.ended(db, before, account):
                click.echo(_line(campaign))
        return await purging.due(db, before, account)


async def _purge(config: Config, days: int, account: str | None) -> _Done:
    campaigns = recipients = rows = 0
    async with store(config, connections=1) as db:
        before = await purging.days_ago(db, days)
        due = await purging.due(db, before, account)
        begun = time.monotonic()
        failures = await purging.forget_failures(db, before, account)
        with _progress(due.recipients) as report:
            async for campaign in purging.ended(db, before, account):
                removed = await purging.delete(db, campaign.id, before, report)
                campaigns += removed.campaigns
                recipients += removed.recipients
                rows += removed.rows
    took = time.monotonic() - begun
    return _Done(Due(campaigns, recipients, failures), rows + failures, took)


def _line(campaign: Ended) -> str:
    who = f"campaign {campaign.id} ({campaign.account}, {campaign.name})"
    return f"{who}: {plural(campaign.total, 'recipient')}, ended {moment(campaign.finished_at)}"


def _tell_due(due: Due, as_json: bool) -> None:
    if as_json:
        facts = {**due._asdict(), "rows": None, "seconds": None, "dry_run": True}
        click.echo(orjson.dumps(facts).decode())
    else:
        click.echo(f"would delete {_words(due)}")


def _tell_done(done: _Done, as_json: bool) -> None:
    if as_json:
        figures = {"rows": done.rows, "seconds": round(done.seconds, 3)}
        facts = {**done.due._asdict(), **figures, "dry_run": False}
        click.echo(orjson.dumps(facts).decode())
        return
    rate = done.rows / max(done.seconds, 0.001)
    parts = f"{plural(done.rows, 'row')}, {done.seconds:.1f} s, {rate:,.0f} rows/s"
    click.echo(f"deleted {_words(done.due)} ({parts})")


def _words(due: Due) -> str:
    campaigns = plural(due.campaigns, "campaign")
    people = plural(due.recipients, "recipient")
    return f"{campaigns} with {people}, and {plural(due.soft_failures, 'soft failure')}"


@contextmanager
def _progress(recipients: int) -> Iterator[Report | None]:
    """A bar on the terminal of standard error, if there is one."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True, redirect_stdout=False) as bar:
        task = bar.add_task("recipients", total=recipients)
        yield lambda done: bar.advance(task, done)
