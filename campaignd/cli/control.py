"""`start`, `pause`, `resume` and `cancel`."""

from __future__ import annotations

import asyncio
import getpass
import os
import socket
import time
from collections.abc import Awaitable, Callable

import click

from campaignd.cli.backends import store, wake
from campaignd.cli.settings import Settings, campaign_argument, json_option, pass_settings
from campaignd.config import Config
from campaignd.store import campaigns
from campaignd.store.campaigns import Campaign
from campaignd.store.db import Database

Change = Callable[[Database, int], Awaitable[Campaign]]


@click.command()
@campaign_argument
@json_option
@pass_settings
def start(settings: Settings, campaign: int, as_json: bool) -> None:
    """Starts a draft or scheduled campaign now."""

    async def change(db: Database, number: int) -> Campaign:
        return await campaigns.start(db, number, time.time())

    _apply(settings.load(), campaign, change, as_json)


@click.command()
@campaign_argument
@json_option
@pass_settings
def pause(settings: Settings, campaign: int, as_json: bool) -> None:
    """Stops sending within a second. What is on its way is recorded; nothing is lost."""

    async def change(db: Database, number: int) -> Campaign:
        return await campaigns.pause(db, number, reason=f"paused by {_who()}")

    _apply(settings.load(), campaign, change, as_json)


@click.command()
@campaign_argument
@json_option
@pass_settings
def resume(settings: Settings, campaign: int, as_json: bool) -> None:
    """Goes on with a paused campaign."""

    async def change(db: Database, number: int) -> Campaign:
        return await campaigns.resume(db, number)

    _apply(settings.load(), campaign, change, as_json)


@click.command()
@campaign_argument
@json_option
@pass_settings
def cancel(settings: Settings, campaign: int, as_json: bool) -> None:
    """Ends a campaign for good: who is pending stays so. What was recorded can still be read."""

    async def change(db: Database, number: int) -> Campaign:
        return await campaigns.cancel(db, number, time.time(), reason=f"cancelled by {_who()}")

    _apply(settings.load(), campaign, change, as_json)


def _apply(config: Config, campaign: int, change: Change, as_json: bool) -> None:
    changed = asyncio.run(_change(config, campaign, change))
    if as_json:
        import orjson

        facts = {"id": changed.id, "state": changed.state.value, "reason": changed.reason}
        click.echo(orjson.dumps(facts).decode())
    else:
        click.echo(f"campaign {changed.id} is {changed.state}")


async def _change(config: Config, campaign: int, change: Change) -> Campaign:
    async with store(config, connections=1) as db:
        changed = await change(db, campaign)
    trouble = await wake(config, campaign)
    if trouble:
        click.echo(f"warning: {trouble}; hosts notice at their next look at MySQL", err=True)
    return changed


def _who() -> str:
    """USER@HOST. The user behind sudo, since several people may share root."""
    try:
        user = os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):  # no name for this user id
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"[:150]
