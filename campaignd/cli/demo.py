"""`demo`."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Final

import click
from rich.console import Console, Group
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from campaignd.cli import tables
from campaignd.demo import stage as stages
from campaignd.demo.answers import bounce, one_click_url, unsubscribe
from campaignd.demo.follow import LOOK_SECONDS, until_finished
from campaignd.demo.reconcile import Agreement, reconcile
from campaignd.demo.stage import Stage
from campaignd.errors import UsageError
from campaignd.preview import readable
from campaignd.status import Standing
from campaignd.wording import plural

DAEMONS: Final = ("demo-1", "demo-2")

PLAIN_SECONDS: Final = 1.0
"""Between two lines of progress where there is no terminal."""


@click.command()
@click.option(
    "--count",
    metavar="N",
    type=click.IntRange(100, 2_000_000),
    default=20_000,
    show_default=True,
    help="How many recipients.",
)
@click.option("--keep", is_flag=True, help="Leave the demo's files in a folder, and name it.")
def demo(count: int, keep: bool) -> int:
    """Sends a personalised, signed campaign between private servers, and proves that the ledger and
    the receiver agree. Then one recipient unsubscribes and one turns out not to exist. Needs no
    configuration and touches nothing of yours.

    Exit status 0 only if they agree exactly.
    """
    console = tables.console()
    folder = Path(tempfile.mkdtemp(prefix="campaignd-demo-")) if keep else None
    console.print("Starting a private MariaDB, Redis and SMTP sink ...")
    with stages.opened(count, folder) as stage:
        agreement = _play(stage, console)
    if folder is not None:
        console.print(
            f"\nThe demo's files are in {folder}. There, try this:\n"
            f"  campaignd preview {stages.CAMPAIGN} --recipients {stages.RECIPIENTS}"
            " --row 7 --readable"
        )
    return 0 if agreement.exact else 1


def _play(stage: Stage, console: Console) -> Agreement:
    def run(*words: str) -> str:
        console.print(Text(f"$ {stage.shown(*words)}", style="bold"))
        return stage.command(*words).decode()

    run("migrate")
    said = run("lint", stages.CAMPAIGN, "--recipients", stages.RECIPIENTS)
    console.print(said.splitlines()[-1])
    for name in DAEMONS:
        console.print(Text(f"$ {stage.shown('run', '--name', name)} &", style="bold"))
        stage.start_daemon(name)
    source = ("--recipients", stages.RECIPIENTS, "--rejects", stages.REJECTS)
    campaign = int(run("enqueue", stages.CAMPAIGN, *source))
    with _progress(stage.audience.recipients, console) as show:
        last = asyncio.run(until_finished(stage, campaign, show))
    servers = {command: _serve(stage, command, console) for command in ("web", "receive")}
    message = stage.kept()
    back = _come_back(stage, message, servers) if message else []
    stage.stop_processes()
    words = ("outcomes", str(campaign), "--format", "jsonl")
    console.print(Text(f"$ {stage.shown(*words)}", style="bold"))
    agreement = reconcile(stage.lines(*words), stage.arrived())
    _summarise(stage, last, agreement, console)
    if message:
        body = Text(readable(message).rstrip())
        console.print(Panel(body, title=f"what {stage.audience.shown} got", width=86))
    for address, how in back:
        console.print(Text(f"{address} {how}"))
        listed = run("suppress", "list", "--account", stages.ACCOUNT, address)
        console.print(Text(listed.rstrip()))
    _conclude(agreement, console)
    return agreement


def _serve(stage: Stage, command: str, console: Console) -> tuple[str, int]:
    console.print(Text(f"$ {stage.shown(command)} &", style="bold"))
    return stage.start_server(command)


def _come_back(
    stage: Stage, message: bytes, servers: dict[str, tuple[str, int]]
) -> list[tuple[str, str]]:
    """Plays the part of two recipients; says who they are and what happened."""
    url = one_click_url(message)
    status = unsubscribe(url, *servers["web"])
    if status != HTTPStatus.OK:
        raise UsageError(f"POST {url}: {status}")
    gone = next(arrived for arrived in stage.arrived() if arrived.recipient != stage.audience.shown)
    bounce(gone.sender, gone.recipient, *servers["receive"])
    return [
        (stage.audience.shown, "unsubscribed by the link in List-Unsubscribe:"),
        (gone.recipient, "turned out not to exist; the message came back to its return path:"),
    ]


@contextmanager
def _progress(total: int, console: Console) -> Iterator[Callable[[Standing], None]]:
    if not sys.stdout.isatty():
        yield _plain_progress()
        return
    with Progress(
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
        console=console,
    ) as bar:
        task = bar.add_task("", total=total)

        def show(standing: Standing) -> None:
            counts = standing.summary.counts
            settled = counts.total - counts.pending - counts.deferred
            text = (
                f"[green]{counts.accepted:,} accepted[/] [red]{counts.rejected:,} rejected[/]"
                f" [yellow]{counts.deferred:,} deferred[/]"
            )
            bar.update(task, completed=settled, description=text)

        yield show


def _plain_progress() -> Callable[[Standing], None]:
    looks = 0
    every = round(PLAIN_SECONDS / LOOK_SECONDS)

    def show(standing: Standing) -> None:
        nonlocal looks
        if looks % every == 0:
            click.echo(tables.line(standing))
        looks += 1

    return show


def _summarise(stage: Stage, last: Standing, agreement: Agreement, console: Console) -> None:
    counts = last.summary.counts
    campaign = last.summary.campaign
    took = (campaign.finished_at or 0.0) - (campaign.started_at or 0.0)
    seconds = Counter(int(message.at) for message in stage.arrived())
    busiest = max(seconds.values(), default=0)
    console.print()
    console.print(tables.one(last))
    console.print(
        f"\n{plural(counts.total, 'recipient')} in {took:.1f} s, up to {busiest:,} messages in a"
        f" second, with {plural(len(DAEMONS), 'daemon')} on this machine."
        f"\n{agreement.retried:,} were deferred (451) at first and accepted when tried again;"
        f" {counts.rejected:,} were refused (550)."
        f"\n{plural(campaign.invalid_rows, 'row')} had no valid address and"
        f" {campaign.duplicate_rows:,} were duplicates ({stages.REJECTS} has line and reason)."
    )


def _conclude(agreement: Agreement, console: Console) -> None:
    if agreement.exact:
        console.print(
            f"The ledger and the sink agree: each of the {agreement.accepted:,} accepted messages"
            " arrived exactly once, and nothing else did.",
            style="bold green",
        )
    else:
        console.print("The ledger and the sink do not agree:", style="bold red")
        console.print(Group(*(Text(f"  {line}") for line in agreement.differences())))
    console.print(_NEXT)


_NEXT: Final = """
What to try next:
  campaignd demo --count 200000        more of it
  campaignd demo --keep                look at its campaign, templates and audience afterwards
  cp config.example.toml config.toml   for your own servers; then `campaignd check`"""
