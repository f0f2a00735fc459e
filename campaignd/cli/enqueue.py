"""`enqueue`."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import click
import orjson
import uvloop

from campaignd.audience.feed import Report
from campaignd.audience.load import EnqueueResult
from campaignd.audience.load import enqueue as load_audience
from campaignd.audience.source import FileSource, Format, QuerySource, Source
from campaignd.cli.backends import store, wake
from campaignd.cli.lint import line
from campaignd.cli.moments import moment_option
from campaignd.cli.settings import Settings, pass_settings
from campaignd.compose.campaign import load_campaign
from campaignd.compose.links import trial_links
from campaignd.compose.spec import CampaignSpec
from campaignd.config import Config
from campaignd.errors import CampaignError, UsageError
from campaignd.lint import Finding, Level, offline
from campaignd.model import CampaignState
from campaignd.store import campaigns
from campaignd.wording import moment, plural, relative

GRACE_SECONDS: Final = 90.0
"""`--at` may lie so far back and means now: `date` output is cut to the minute."""


@click.command()
@click.argument("file", metavar="CAMPAIGN.toml", type=click.Path(path_type=Path))
@click.option("--recipients", metavar="FILE", help="CSV or JSON Lines; - is standard input.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["csv", "jsonl"]),
    help="Format of the recipients; by default the file's suffix says it, else it is CSV.",
)
@click.option(
    "--query",
    metavar="SQL",
    help="Instead of a file: one SELECT on the same server that yields `email` and merge fields.",
)
@click.option(
    "--at",
    callback=moment_option,
    metavar="TIME",
    help="Start then: ISO 8601 with a zone, or without one in local time.",
)
@click.option("--draft", is_flag=True, help="Do not start; wait for `campaignd start`.")
@click.option(
    "--key",
    metavar="KEY",
    help="Repeating the call with this key cannot enqueue twice; it resumes one that was killed.",
)
@click.option(
    "--rejects",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Where unusable rows go; default: the input's name with .rejects.csv, in this folder.",
)
@click.option("--no-lint", is_flag=True, help="Enqueue it whatever `lint` says.")
@click.option("--json", "as_json", is_flag=True, help="Print all figures as JSON, not just the id.")
@pass_settings
def enqueue(
    settings: Settings,
    file: Path,
    recipients: str | None,
    form: Format | None,
    query: str | None,
    at: float | None,
    draft: bool,
    key: str | None,
    rejects: Path | None,
    no_lint: bool,
    as_json: bool,
) -> None:
    """Freezes the audience of a campaign and starts it. Prints its id.

    Nothing is sent before the whole audience is stored. The templates are tried on the first
    recipients before that, and a campaign in which `lint` finds an error is refused. A bad row
    goes to the rejects file and stops nothing.
    """
    if (recipients is None) == (query is None):
        raise click.UsageError("give either --recipients FILE or --query SQL")
    if query is not None and form is not None:
        raise click.UsageError("--format belongs to --recipients")
    source = QuerySource(query) if query is not None else FileSource(recipients or "-", form)
    config = settings.load()
    spec = load_campaign(file)
    request = _Request(spec, source, key, at, draft, rejects, no_lint)
    with _progress(source) as report:
        result, warnings = uvloop.run(_enqueue(config, request, report))
    for warning in warnings:
        click.echo(f"warning: {line(warning)}", err=True)
    _tell(result, at, as_json)


def _lint(spec: CampaignSpec, config: Config) -> list[Finding]:
    """The warnings. Raises CampaignError, one for each error, if there are errors."""
    found = offline(spec, config)
    errors = [
        CampaignError(f"{line(finding)}; or use --no-lint")
        for finding in found
        if finding.rule.level is Level.ERROR
    ]
    if errors:
        raise ExceptionGroup("lint", errors)
    return found


class _Request(NamedTuple):
    spec: CampaignSpec
    source: Source
    key: str | None
    at: float | None
    draft: bool
    rejects: Path | None
    no_lint: bool


async def _enqueue(
    config: Config, request: _Request, report: Report | None
) -> tuple[EnqueueResult, list[Finding]]:
    """Also the warnings of `lint`."""
    spec, source, key, at, draft, rejects, no_lint = request
    async with store(config, connections=4) as db:
        now = time.time()
        # A repeated call is answered even when its time has passed meanwhile, or the
        # configuration has changed.
        repeated = key is not None and await campaigns.by_key(db, spec.account, key) is not None
        if at is not None and at < now - GRACE_SECONDS and not repeated:
            raise UsageError(
                f"--at: {moment(at)} was {relative(at, now)}; leave it out to start at once"
            )
        warnings = [] if no_lint or repeated else _lint(spec, config)
        result = await load_audience(
            db,
            spec,
            source,
            links=trial_links(config),
            key=key,
            at=at,
            draft=draft,
            rejects_path=rejects,
            progress=report,
        )
    if result.state is CampaignState.RUNNING and not result.existed:
        trouble = await wake(config, result.id)
        if trouble:
            click.echo(f"warning: {trouble}; hosts notice at their next look at MySQL", err=True)
    return result, warnings


def _tell(result: EnqueueResult, at: float | None, as_json: bool) -> None:
    if as_json:
        facts = {**result._asdict(), "state": result.state.value}
        facts["rejects"] = facts.pop("rejects_path") and str(result.rejects_path)
        click.echo(orjson.dumps(facts).decode())
        return
    click.echo(result.id)
    if result.existed:
        text = f"was enqueued before, nothing is changed; it is {result.state}"
    elif result.state is CampaignState.SCHEDULED and at is not None:
        text = f"starts at {moment(at)} ({relative(at, time.time())})"
    elif result.state is CampaignState.DRAFT:
        text = f"waits for `campaignd start {result.id}`"
    else:
        text = "is running"
    click.echo(f"campaign {result.id} {text}", err=True)
    parts = [plural(result.total, "recipient")]
    parts += [f"{result.duplicates:,} duplicate"] if result.duplicates else []
    parts += [f"{result.invalid:,} invalid"] if result.invalid else []
    rate = f" ({result.seconds:.1f} s)" if not result.existed else ""
    where = f"; see {result.rejects_path}" if result.rejects_path else ""
    click.echo(f"{', '.join(parts)}{rate}{where}", err=True)


@contextmanager
def _progress(source: Source) -> Iterator[Report | None]:
    """A bar on the terminal of standard error, if there is one."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    size = _size(source)
    columns = [TextColumn("{task.fields[rows]:>12,} rows"), BarColumn(), TaskProgressColumn()]
    with Progress(
        *columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True
    ) as bar:
        task = bar.add_task("", total=size, rows=0)

        def report(rows: int, octets: int | None) -> None:
            bar.update(task, rows=rows, completed=octets or 0)

        yield report


def _size(source: Source) -> int | None:
    """Octets of a plain file."""
    if isinstance(source, QuerySource) or source.path == "-":
        return None
    path = Path(source.path)
    return path.stat().st_size if path.is_file() else None
