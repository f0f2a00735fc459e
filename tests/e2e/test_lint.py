"""`lint` by the command, and what `enqueue` makes of it."""

from __future__ import annotations

import json

import pytest

from campaignd.config import Bounces, Links
from tests.e2e.site import Site


@pytest.fixture
def bare(site: Site) -> Site:
    """A site that lets nobody leave, and a campaign."""
    site.config = site.configure(links=Links(), bounces=Bounces())
    site.campaign()
    (site.folder / "text.html").write_text("<p>Dear {{ name }}</p>\n<img src='http://a.example'>")
    site.audience(3)
    return site


def test_nothing_is_wrong_but_that_nothing_signs(site: Site) -> None:
    site.campaign()
    done = site.run("lint", "c.toml", "--recipients", site.audience(3))
    lines = done.stdout.splitlines()
    assert done.returncode == 0
    assert [line.split(":")[0] for line in lines[:-1]] == ["warning", "warning"]
    assert lines[0].endswith("[unsigned: https://support.google.com/a/answer/81126]")
    assert lines[-1] == "0 errors, 2 warnings"
    assert site.run("lint", "c.toml", "--strict").returncode == 1


def test_errors_have_a_status_and_a_place(bare: Site) -> None:
    done = bare.run("lint", "c.toml")
    assert done.returncode == 1
    first, *_ = done.stdout.splitlines()
    assert first.startswith("error: [links]: messages have no List-Unsubscribe: set url")
    assert "text.html, line 2: an image without alt text" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("1 error, ")


def test_json(bare: Site) -> None:
    (bare.folder / "r.csv").write_text("email,name\na@a.example,Anna\nb@b.example,\n")
    found = bare.run("lint", "c.toml", "--recipients", "r.csv", "--json").json
    assert found["errors"] == 1
    assert found["warnings"] == len(found["findings"]) - 1
    by_rule = {finding["rule"]: finding for finding in found["findings"]}
    assert by_rule["no-unsubscribe"]["level"] == "error"
    assert by_rule["empty-field"]["where"] == "r.csv, line 3"
    assert all(set(one) == {"level", "rule", "where", "text", "source"} for one in by_rule.values())


def test_mistakes_get_one_line(site: Site) -> None:
    site.campaign()
    assert "nowhere.csv" in site.refused("lint", "c.toml", "--recipients", "nowhere.csv")
    (site.folder / "text.html").write_text("{{ name")
    assert site.refused("lint", "c.toml").startswith("text.html, line 1, html")
    assert site.run("lint", "c.toml", "--resolver", "127.0.0.1").returncode == 2
    assert site.run("lint", "c.toml", "--format", "csv").returncode == 2


def test_enqueue_refuses_errors(bare: Site) -> None:
    words = ("enqueue", "c.toml", "--recipients", "r.csv")
    line = bare.refused(*words)
    assert line.startswith("[links]: messages have no List-Unsubscribe")
    assert line.endswith("; or use --no-lint")
    assert bare.ok("status", "--json").json == []
    done = bare.ok(*words, "--no-lint", "--draft")
    assert "warning" not in done.stderr
    assert len(bare.ok("status", "--json").json) == 1


def test_a_repeated_enqueue_is_answered_whatever_the_configuration_is_now(bare: Site) -> None:
    words = ("enqueue", "c.toml", "--recipients", "r.csv", "--draft", "--key", "k")
    first = bare.ok(*words, "--no-lint")
    again = bare.ok(*words)
    assert again.stdout == first.stdout
    assert "warning" not in again.stderr
    assert "no-lint" in bare.refused(*words[:-1], "other")


def test_a_transactional_campaign_need_not_be_left(bare: Site) -> None:
    campaign = bare.folder / "c.toml"
    campaign.write_text(campaign.read_text().replace("[retry]", "transactional = true\n[retry]"))
    bare.ok("enqueue", "c.toml", "--recipients", "r.csv", "--draft")


def test_enqueue_tells_warnings_once(site: Site) -> None:
    source = site.audience(3)
    words = ("enqueue", site.campaign(), "--recipients", source, "--draft", "--json")
    done = site.ok(*words)
    assert json.loads(done.stdout)["total"] == 3
    warnings = [line for line in done.stderr.splitlines() if line.startswith("warning: ")]
    assert len(warnings) == 2
    assert "[unsigned: " in warnings[0]


def test_several_errors_are_several_lines(bare: Site) -> None:
    campaign = bare.folder / "c.toml"
    campaign.write_text(campaign.read_text().replace("news@acme.example", "acme@gmail.com"))
    done = bare.run("enqueue", "c.toml", "--recipients", "r.csv")
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("error: ") for line in lines)
