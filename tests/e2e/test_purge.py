"""The command beside a daemon that sends."""

from __future__ import annotations

import json

import pytest

from tests.e2e.site import Site


def test_old_campaigns_are_deleted_beside_one_that_runs(site: Site) -> None:
    old, other = site.enqueue(300), site.enqueue(20)
    site.daemon(site.configure(rate=200.0))
    site.until_state(old, "finished")
    site.until_state(other, "finished")
    site.query(f"UPDATE campaigns SET finished_at = NOW() - INTERVAL 91 DAY WHERE id = {old}")
    planned = site.ok("purge", "--older-than", "90", "--dry-run").stdout.splitlines()
    assert planned[0].startswith(f"campaign {old} (acme, Spring): 300 recipients, ended 20")
    assert planned[1:] == ["would delete 1 campaign with 300 recipients, and 0 soft failures"]
    planned = site.run("purge", "--older-than", "90", "--dry-run", "--json").json
    assert planned == {
        "campaigns": 1, "recipients": 300, "soft_failures": 0,
        "rows": None, "seconds": None, "dry_run": True,
    }  # fmt: skip
    assert len(site.outcomes(old)) == 300
    assert site.run("purge", "--older-than", "90", "--account", "b", "--json").json["rows"] == 0

    running = site.enqueue(1_000)
    site.until_sent(340)
    done = site.ok("purge", "--older-than", "90").stdout
    assert done.startswith(
        "deleted 1 campaign with 300 recipients, and 0 soft failures (602 rows, "
    )
    assert site.query("SELECT state FROM campaigns WHERE state = 'running'"), "it had to run"
    gone = site.run("outcomes", str(old))
    assert gone.returncode == 1
    assert f"there is no campaign {old}" in gone.stderr
    assert site.until_state(running, "finished")["counts"]["accepted"] == 1_000
    assert len(site.outcomes(other)) == 20
    assert site.sent() == 1_320


def test_what_an_interrupted_one_leaves_says_so(site: Site) -> None:
    campaign = site.enqueue(3)
    site.daemon()
    site.until_state(campaign, "finished")
    site.query(
        "UPDATE campaigns SET finished_at = NOW() - INTERVAL 2 DAY,"
        " reason = 'being purged: its outcomes and events are no longer complete'"
    )
    site.query("DELETE FROM recipients WHERE seq < 3")
    site.query("DELETE FROM ledger WHERE seq < 3")
    assert "being purged" in site.ok("status", str(campaign)).stdout
    told = site.ok("outcomes", str(campaign), "--format", "jsonl")
    assert len([json.loads(line) for line in told.stdout.splitlines()]) == 1
    assert told.stderr == (
        f"warning: campaign {campaign} is being purged: its outcomes and events are no longer"
        " complete\n"
    )
    done = site.ok("purge", "--older-than", "1")
    assert done.stdout.startswith(
        "deleted 1 campaign with 1 recipient, and 0 soft failures (4 rows"
    )
    assert done.stderr == (
        "warning: soft failures of over 1 days are deleted, too; with soft_days = 7 in [bounces]"
        " they suppress nobody\n"
    )


@pytest.mark.parametrize("days", ["0", "-1", "1.5", "x", "nan", "10001"])
def test_wrong_days(site: Site, days: str) -> None:
    refused = site.run("purge", "--older-than", days)
    assert refused.returncode == 2
    assert "Invalid value for '--older-than'" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_days_must_be_said(site: Site) -> None:
    refused = site.run("purge")
    assert refused.returncode == 2
    assert "Missing option '--older-than'" in refused.stderr


def test_a_server_that_is_away(site: Site) -> None:
    text = site.config.read_text()
    (site.folder / "away.toml").write_text(text.replace(".sock", ".nowhere"))
    line = site.refused("purge", "--older-than", "90", config=site.folder / "away.toml")
    assert line.startswith("MySQL")
