"""How campaigns look on a terminal and in a pipe."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from campaignd.model import CampaignState, Counts
from campaignd.status import Standing
from campaignd.wording import duration, moment, plural

PIPE_WIDTH: Final = 400
"""Columns when nobody looks at a terminal: lines are not wrapped."""

BAR_WIDTH: Final = 44
NAME_WIDTH: Final = 32

_STYLES: Final = {
    CampaignState.RUNNING: "bold green",
    CampaignState.FINISHED: "green",
    CampaignState.PAUSED: "yellow",
    CampaignState.CANCELLED: "red",
}
_OUTCOME_STYLES: Final = {
    "accepted": "green",
    "rejected": "red",
    "expired": "red",
    "unknown": "red",
    "deferred": "yellow",
}


def console() -> Console:
    """Standard output. Colours only on a terminal."""
    if sys.stdout.isatty():
        return Console(highlight=False, markup=False)
    return Console(highlight=False, markup=False, width=PIPE_WIDTH, color_system=None)


def one(standing: Standing) -> RenderableType:
    """All about one campaign."""
    campaign, counts = standing.summary.campaign, standing.summary.counts
    title = Text(f"campaign {campaign.id}", style="bold")
    title.append(f"  {campaign.name}  ({campaign.account})", style="not bold")
    lines: list[RenderableType] = [title, _state(standing)]
    if standing.reason:
        lines.append(Text(standing.reason, style="yellow"))
    if counts.total:
        settled = counts.total - counts.pending - counts.deferred
        bar = ProgressBar(total=counts.total, completed=settled, width=BAR_WIDTH)
        if sys.stdout.isatty():
            lines.append(bar)
    lines += [Text(), _counts(standing)]
    return Group(*lines)


def many(standings: Sequence[Standing]) -> RenderableType:
    """A line for each campaign."""
    if not standings:
        return Text("no campaigns")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("id", "account", "name"):
        table.add_column(name, no_wrap=True)
    table.add_column("state", no_wrap=True)
    for name in ("total", "settled", "rate"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("left", no_wrap=True)
    table.add_column("why not faster")
    for standing in standings:
        campaign, counts = standing.summary.campaign, standing.summary.counts
        table.add_row(
            str(campaign.id),
            Text(campaign.account),
            Text(_short(campaign.name, NAME_WIDTH)),
            Text(campaign.state.value, style=_STYLES.get(campaign.state, "")),
            f"{counts.total:,}",
            _share(counts),
            f"{standing.rate:,.0f}/s" if standing.rate else "",
            "" if not standing.eta_seconds else duration(standing.eta_seconds),
            Text(standing.reason),
        )
    return table


def line(standing: Standing) -> str:
    """One line, as `--watch` prints every second where there is no terminal."""
    campaign, counts = standing.summary.campaign, standing.summary.counts
    numbers = " ".join(f"{name}={value}" for name, value in counts._asdict().items())
    text = f"campaign {campaign.id} {campaign.state} {numbers} rate={standing.rate:.0f}"
    return f"{text}: {standing.reason}" if standing.reason else text


def _state(standing: Standing) -> Text:
    campaign = standing.summary.campaign
    text = Text(campaign.state.value, style=_STYLES.get(campaign.state, "bold"))
    details = []
    if standing.rate:
        details.append(f"{standing.rate:,.0f} messages/s")
    if standing.eta_seconds and campaign.state is CampaignState.RUNNING:
        details.append(f"{duration(standing.eta_seconds)} left")
    if campaign.started_at is not None:
        details.append(f"started {moment(campaign.started_at)}")
    if campaign.finished_at is not None and campaign.started_at is not None:
        details.append(f"took {duration(campaign.finished_at - campaign.started_at)}")
    text.append("".join(f", {detail}" for detail in details), style="not bold default")
    return text


def _counts(standing: Standing) -> Table:
    counts = standing.summary.counts
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(min_width=18)
    table.add_column(justify="right")
    table.add_column(justify="right", style="dim")
    for name, value in counts._asdict().items():
        style = _OUTCOME_STYLES.get(name, "") if value else "dim"
        share = f"{value / counts.total:.1%}" if value and name != "total" else ""
        table.add_row(Text(name, style=style), Text(f"{value:,}", style=style), share)
    if standing.summary.maybe_duplicates:
        table.add_row("maybe duplicates", f"{standing.summary.maybe_duplicates:,}")
    for name, value in standing.events._asdict().items():
        if value:
            table.add_row(Text(name, style="red"), f"{value:,}", f"{value / counts.total:.2%}")
    campaign = standing.summary.campaign
    left_out = campaign.invalid_rows + campaign.duplicate_rows
    if left_out:
        text = f"{campaign.invalid_rows:,} invalid, {campaign.duplicate_rows:,} duplicate"
        table.add_row("left out", plural(left_out, "row"), text)
    return table


def _share(counts: Counts) -> str:
    if not counts.total:
        return ""
    settled = counts.total - counts.pending - counts.deferred
    # Rounded down: 100 % means all.
    return f"{settled * 100 // counts.total} %"


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
