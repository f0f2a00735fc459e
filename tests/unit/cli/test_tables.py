"""How standings look."""

from __future__ import annotations

import io
import re
from typing import Any

from rich.console import Console, RenderableType

from campaignd.cli import tables
from campaignd.model import CampaignState, Counts
from campaignd.status import Standing
from campaignd.store.campaigns import Campaign, CampaignSummary
from campaignd.store.feedback import EventCounts

CAMPAIGN = Campaign(
    id=7, account="acme", key=None, name="Spring [bold]sale[/bold]", state=CampaignState.RUNNING,
    reason="", total=1_000, input_rows=1_010, invalid_rows=3, duplicate_rows=7, created_at=0.0,
    starts_at=None, started_at=10.0, finished_at=None,
)  # fmt: skip


def standing(**changes: Any) -> Standing:
    campaign = CAMPAIGN._replace(**changes)
    counts = Counts(1_000, 199, 1, 780, 20, 0, 0, 0)
    return Standing(CampaignSummary(campaign, counts, 2), "relay [a] is down", 40.0, 5.0)


def shown(what: RenderableType) -> str:
    text = io.StringIO()
    Console(file=text, width=200, highlight=False).print(what)
    return text.getvalue()


def test_one_campaign() -> None:
    text = shown(tables.one(standing()))
    for part in ("campaign 7", "40 messages/s, 5 s left", "relay [a] is down", "78.0%"):
        assert part in text
    assert "10 rows  3 invalid, 7 duplicate" in text
    assert "maybe duplicates" in text
    assert "bounced" not in text


def test_events_that_came_later() -> None:
    text = shown(tables.one(standing()._replace(events=EventCounts(bounced=12, complained=1))))
    assert re.search(r"bounced +12 +\d+\.\d\d%", text)
    assert re.search(r"complained +1 ", text)
    assert "unsubscribed" not in text


def test_names_are_no_markup() -> None:
    for text in (shown(tables.one(standing())), shown(tables.many([standing()]))):
        assert "Spring [bold]sale[/bold]" in text
        assert "relay [a] is down" in text


def test_a_list() -> None:
    lines = shown(tables.many([standing(), standing(id=6, name="x" * 60)])).splitlines()
    assert len(lines) == 3
    assert "80 %" in lines[1]
    assert "x" * 31 + "…" in lines[2]


def test_an_empty_list() -> None:
    assert shown(tables.many([])) == "no campaigns\n"


def test_an_empty_audience() -> None:
    empty = Standing(CampaignSummary(CAMPAIGN, Counts(0, 0, 0, 0, 0, 0, 0, 0), 0), "", 0.0, None)
    assert "pending" in shown(tables.one(empty))
    assert "7" in shown(tables.many([empty]))


def test_a_plain_line() -> None:
    assert tables.line(standing()) == (
        "campaign 7 running total=1000 pending=199 deferred=1 accepted=780 rejected=20 expired=0"
        " suppressed=0 unknown=0 rate=40: relay [a] is down"
    )
