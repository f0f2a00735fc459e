"""`status`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence
from typing import Final

import click
import orjson

from campaignd.cli.backends import peers, store
from campaignd.cli.settings import Settings, json_option, pass_settings
from campaignd.config import Config
from campaignd.errors import StoreOutage
from campaignd.model import CampaignState
from campaignd.overview import Question
from campaignd.status import Standing

REFRESH_SECONDS: Final = 1.0
"""As far apart are the heartbeats, which the rates come from."""

_ENDED: Final = (CampaignState.FINISHED, CampaignState.CANCELLED)

Show = Callable[[Sequence[Standing], str], None]
"""Shows a look, and why a later one failed."""


@click.command()
@click.argument("campaign", metavar="[ID]", type=click.IntRange(1, 2**63 - 1), required=False)
@click.option("--watch", is_flag=True, help="Look every second, until the campaign has ended.")
@click.option("--account", metavar="NAME", help="List only this account's campaigns.")
@click.option(
    "--state",
    type=click.Choice([state.value for state in CampaignState]),
    help="List only campaigns in this state.",
)
@click.option(
    "--limit",
    metavar="N",
    type=click.IntRange(1, 1_000),
    default=20,
    show_default=True,
    help="List at most so many, the newest first.",
)
@json_option
@pass_settings
def status(
    settings: Settings,
    campaign: int | None,
    watch: bool,
    account: str | None,
    state: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """Shows one campaign, or lists them: state, counts, rate, time left, and why it is not
    faster."""
    if campaign is not None and (account or state):
        raise click.UsageError("--account and --state choose from the list: leave ID out")
    question = Question(campaign, account, CampaignState(state) if state else None, limit)
    config = settings.load()
    if watch:
        asyncio.run(_watch(config, question, as_json))
        return
    found = asyncio.run(_look(config, question))
    if as_json:
        click.echo(_json(found, question))
    else:
        from campaignd.cli import tables

        shown = tables.many(found) if campaign is None else tables.one(found[0])
        tables.console().print(shown)


async def _look(config: Config, question: Question) -> list[Standing]:
    async with store(config, connections=1) as db, peers(config) as hosts:
        return await question.ask(db, hosts)


async def _watch(config: Config, question: Question, as_json: bool) -> None:
    """An outage after the first look is shown, and waited for."""
    from campaignd.cli import tables

    if as_json or not sys.stdout.isatty():

        def show(found: Sequence[Standing], trouble: str) -> None:
            if trouble:
                click.echo(f"warning: {trouble}", err=True)
            elif as_json:
                click.echo(_json(found, question))
            else:
                click.echo("\n".join(map(tables.line, found)))

        await _follow(config, question, show)
        return
    from rich.console import Group
    from rich.live import Live
    from rich.text import Text

    with Live(console=tables.console(), auto_refresh=False) as live:

        def show_live(found: Sequence[Standing], trouble: str) -> None:
            shown = tables.many(found) if question.campaign is None else tables.one(found[0])
            below = [Text(f"{trouble}; trying again", style="red")] if trouble else []
            live.update(Group(shown, *below), refresh=True)

        await _follow(config, question, show_live)


async def _follow(config: Config, question: Question, show: Show) -> None:
    found: list[Standing] = []
    async with store(config, connections=1) as db, peers(config) as hosts:
        while True:
            try:
                found = await question.ask(db, hosts)
            except StoreOutage as outage:
                if not found:
                    raise
                show(found, str(outage))
            else:
                show(found, "")
                if question.campaign is not None and _ended(found[0]):
                    return
            await asyncio.sleep(REFRESH_SECONDS)


def _ended(standing: Standing) -> bool:
    return standing.summary.campaign.state in _ENDED


def _json(found: Sequence[Standing], question: Question) -> str:
    facts = [standing.facts() for standing in found]
    return orjson.dumps(facts if question.campaign is None else facts[0]).decode()
