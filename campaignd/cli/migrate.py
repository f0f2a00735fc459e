"""`migrate`."""

from __future__ import annotations

import asyncio

import click

from campaignd.cli.settings import Settings, json_option, pass_settings
from campaignd.config import Config
from campaignd.store import schema
from campaignd.store.db import Database


@click.command()
@json_option
@pass_settings
def migrate(settings: Settings, as_json: bool) -> None:
    """Creates or upgrades the tables in MySQL. Safe to repeat, to race and to interrupt."""
    applied = asyncio.run(_migrate(settings.load()))
    if as_json:
        import orjson

        click.echo(orjson.dumps({"applied": applied}).decode())
    elif applied:
        click.echo(f"applied {', '.join(f'{version:04d}' for version in applied)}")
    else:
        click.echo("the schema is up to date")


async def _migrate(config: Config) -> list[int]:
    async with Database(config.mysql_target(), connections=1) as db:
        return await schema.migrate(db)
