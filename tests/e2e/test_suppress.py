"""Suppressions by the command, and what hosts make of them while they send."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from campaignd.config import Relay
from tests.e2e.site import Site

RATE = 40.0
COUNT = 360
"""So that the whole takes 9 s, four of them after a suppression has to be obeyed."""


@pytest.mark.parametrize("held_up", ["before composing", "in the queue"])
def test_a_suppression_is_obeyed_when_it_is_5_s_old(site: Site, held_up: str) -> None:
    """All that is left is claimed and read within the first second, and waits for its time."""
    if held_up == "before composing":
        config = site.configure(rate=RATE)
    else:
        relay = Relay(
            name="sink", host="127.0.0.1", port=site.sink.port, tls="none", messages_per_second=RATE
        )
        config = site.configure(relays=[relay])
    campaign = site.enqueue(COUNT)
    rows = (site.folder / "r.csv").read_text().splitlines()[1:]
    unwanted = {row.partition(",")[0] for row in rows[::3]}
    (site.folder / "list.txt").write_text("\n".join(unwanted).upper())
    site.daemon(config)
    site.until_sent(10)
    site.ok("suppress", "import", "list.txt", "--account", "acme")
    suppressed_at = time.time()
    counts = site.until_state(campaign, "finished")["counts"]
    late = [one for one in site.sink.accepted() if one.at > suppressed_at + 5]
    assert not [one for one in late if one.recipient in unwanted]
    assert counts["accepted"] + counts["suppressed"] == COUNT
    assert counts["accepted"] == site.sent()
    assert counts["suppressed"] > len(unwanted) / 5
    lines = site.outcomes(campaign, "--outcome", "suppressed")
    assert {line["response"] for line in lines} == {"the address is suppressed: imported"}
    assert {line["address"] for line in lines} <= unwanted


def test_lists_are_kept_and_obeyed(site: Site) -> None:
    campaign = site.enqueue(6, "--draft")
    rows = (site.folder / "r.csv").read_text().splitlines()[1:]
    who = [row.partition(",")[0] for row in rows]
    domain = who[0].partition("@")[2]
    added = site.ok("suppress", "add", who[0].upper(), who[1], "--account", "acme").stdout
    assert added == "2 entries added, 0 there before\n"
    site.ok("suppress", "add", who[2], "--global", "--reason", "complained", "--note", "by phone")
    site.ok("suppress", "add", "--domain", f".{domain}", "--account", "another")
    site.ok("suppress", "add", who[3], "--account", "another")
    again = site.ok("suppress", "add", who[1], who[4], "--account", "acme").stdout
    assert again == "1 entry added, 1 there before\n"
    removed = site.ok("suppress", "remove", who[4], who[2], "--account", "acme")
    assert removed.stdout == f"{who[4]} is removed\n{who[2]} was not on this list\n"
    assert removed.stderr == f"{who[2]} stays suppressed: {who[2]} (global)\n"
    by_domain = site.ok("suppress", "list", who[3], "--account", "another", "--json").stdout
    found = [json.loads(line) for line in by_domain.splitlines()]
    assert [one.get("email") or one["domain"] for one in found] == [who[3], f".{domain}"]
    site.daemon()
    site.ok("start", str(campaign))
    counts = site.until_state(campaign, "finished")["counts"]
    assert (counts["suppressed"], counts["accepted"]) == (3, 3)
    [line] = site.outcomes(campaign, "--address", who[2])
    assert line["response"] == "the address is suppressed: complained"


def test_what_is_exported_can_be_imported(site: Site) -> None:
    Path(site.folder / "list.csv").write_text(
        'email,reason,date,note\nAnna@b.example,bounced,2026-01-02,"a,b"\nwrong,,,\n=c@d.example,,,x\n'
    )
    done = site.run("suppress", "import", "list.csv", "--account", "acme", "--json")
    assert done.returncode == 0, done.stderr
    assert done.json | {"seconds": 0} == {
        "rows": 3,
        "added": 2,
        "known": 0,
        "rejected": 1,
        "rejects": "list.csv.rejects.csv",
        "seconds": 0,
    }
    exported = site.ok("suppress", "export", "--account", "acme").stdout
    again = site.run("suppress", "import", "-", "--global", input=exported)
    assert again.stdout.startswith("2 entries added, 0 there before (")
    assert site.ok("suppress", "export", "--global").stdout == exported
    assert "'=c@d.example" in exported


def test_mistakes_are_one_line(site: Site) -> None:
    for words, reason in (
        (("add", "anna", "--account", "acme"), "anna: an address needs an @"),
        (("add", "--domain", "com", "--global"), "com: the domain has no dot"),
        (("add", "a@b.example", "--account", ""), "--account '': not the name of an account"),
        (("add", "a@b.example", "--global", "--note", "x" * 201), "--note: at most 200"),
        (("list", "anna", "--account", "acme"), "anna: an address needs an @"),
        (("import", "absent.csv", "--global"), "suppressions absent.csv: No such file"),
    ):
        assert site.refused("suppress", *words).startswith(reason)
    for words in (
        ("add", "a@b.example"),
        ("add", "--global"),
        ("list", "--global", "--account", "acme"),
        ("import", "x", "--global", "--hash", "md5", "--domains"),
    ):
        assert site.run("suppress", *words).returncode == 2
    assert site.ok("suppress", "list", "a@b.example", "--global").stderr == (
        "a@b.example is not suppressed\n"
    )
