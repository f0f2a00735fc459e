"""The demo's campaign and audience are what the demo says of them."""

from __future__ import annotations

import asyncio
from pathlib import Path

from campaignd.audience.csv_rows import CsvReader
from campaignd.audience.prepare import prepare
from campaignd.audience.source import FileSource
from campaignd.compose.campaign import load_campaign
from campaignd.compose.links import Links
from campaignd.demo import content
from campaignd.preview import compose, pick, readable
from campaignd.preview import content as undotted
from campaignd.tokens import TokenKeys


def test_the_audience_is_as_announced(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    announced = content.write_audience(path, 3_000)
    reader = CsvReader()
    rows = reader.feed(path.read_bytes())
    assert not reader.finish().size
    prepared = prepare(rows)
    assert len(prepared.recipients) == announced.recipients == 3_000
    assert len(prepared.rejects) == announced.invalid == 3
    assert len(prepared.duplicates) == announced.duplicates == 3
    shown = [found for found in prepared.recipients.values() if found[2] == announced.shown]
    assert len(shown) == 1
    assert b'"gold"' in shown[0][3]
    assert content.POLICY.rule_for(announced.shown) is None


def test_it_is_the_same_every_time(tmp_path: Path) -> None:
    for name in ("a", "b"):
        content.write_audience(tmp_path / name, 200)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_the_campaign_composes(tmp_path: Path) -> None:
    content.write_campaign(tmp_path / "spring.toml")
    content.write_audience(tmp_path / "r.csv", 100)
    spec = load_campaign(tmp_path / "spring.toml")
    links = Links(TokenKeys([bytes(32)]), "https://links.acme.example")
    seen = set()
    for number in range(1, 40):
        picked = asyncio.run(pick(FileSource(str(tmp_path / "r.csv")), number))
        text = readable(undotted(compose(spec, picked, links=links).wire))
        seen.add("gold member" in text)
        assert "{{" not in text
        assert "{%" not in text
    assert seen == {True, False}
