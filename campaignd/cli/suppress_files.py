"""`suppress import` and `suppress export`: lists as files."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import orjson
import uvloop

from campaignd.audience.source import FileSource
from campaignd.cli.backends import store
from campaignd.cli.settings import Settings, json_option, pass_settings
from campaignd.cli.suppress_options import checked, list_options, owner_of, why_options
from campaignd.config import Config
from campaignd.model import SuppressionReason
from campaignd.store import suppressions
from campaignd.suppress.export import HEADER, to_csv
from campaignd.suppress.load import Loaded, load
from campaignd.suppress.rows import Defaults
from campaignd.suppress.target import Meaning
from campaignd.wording import plural


@click.command("import")
@click.argument("file", metavar="FILE")
@list_options
@click.option(
    "--hash",
    "hashed",
    type=click.Choice(["md5", "sha256"]),
    help="The entries are hashes of addresses in lower case, in hexadecimal digits.",
)
@click.option("--domains", is_flag=True, help="The entries are domains.")
@why_options(SuppressionReason.IMPORTED)
@click.option(
    "--rejects",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Where unusable rows go; default: the input's name with .rejects.csv, in this folder.",
)
@json_option
@pass_settings
def import_(
    settings: Settings,
    file: str,
    account: str | None,
    everywhere: bool,
    hashed: Meaning | None,
    domains: bool,
    reason: str,
    note: str,
    rejects: Path | None,
    as_json: bool,
) -> None:
    """Adds the entries of a file, or of standard input (-), to a list.

    One entry on each line, or CSV whose header has the column `email` and perhaps `domain`, `md5`,
    `sha256` (used where `email` is empty), `reason`, `date` and `note`. What `export` writes can
    be read. A bad row goes to the rejects file and stops nothing; importing a file again adds what
    is missing.
    """
    if hashed is not None and domains:
        raise click.UsageError("give either --hash or --domains")
    owner = owner_of(account, everywhere)
    meaning: Meaning = hashed or ("domain" if domains else "email")
    defaults = Defaults(meaning, SuppressionReason[reason.upper()], checked(note))
    loaded = uvloop.run(_import(settings.load(), owner, FileSource(file), defaults, rejects))
    _tell(loaded, as_json)


@click.command()
@list_options
@pass_settings
def export(settings: Settings, account: str | None, everywhere: bool) -> None:
    """Prints a list as CSV, safe for spreadsheets, that `import` reads."""
    uvloop.run(_export(settings.load(), owner_of(account, everywhere)))


async def _import(
    config: Config, owner: str, source: FileSource, defaults: Defaults, rejects: Path | None
) -> Loaded:
    async with store(config, connections=1) as db:
        return await load(db, owner, source, defaults, rejects_path=rejects)


def _tell(loaded: Loaded, as_json: bool) -> None:
    known = loaded.rows - loaded.added - loaded.rejected
    rate = loaded.rows / max(loaded.seconds, 0.001)
    if as_json:
        facts = {
            "rows": loaded.rows,
            "added": loaded.added,
            "known": known,
            "rejected": loaded.rejected,
            "rejects": loaded.rejects and str(loaded.rejects),
            "seconds": round(loaded.seconds, 3),
        }
        click.echo(orjson.dumps(facts).decode())
        return
    parts = [f"{plural(loaded.added, 'entry', 'entries')} added", f"{known:,} there before"]
    parts += [f"{loaded.rejected:,} rejected"] if loaded.rejected else []
    where = f"; see {loaded.rejects}" if loaded.rejects else ""
    click.echo(f"{', '.join(parts)} ({loaded.seconds:.1f} s, {rate:,.0f} rows/s){where}")


async def _export(config: Config, owner: str) -> None:
    out = sys.stdout.buffer
    async with store(config, connections=1) as db:
        out.write(HEADER)
        async for page in suppressions.pages(db, owner):
            out.write(to_csv(page))
    out.flush()
