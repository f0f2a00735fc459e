"""The life of a campaign, by the commands that people use."""

from __future__ import annotations

import subprocess
import time

from campaignd.sandbox.policy import Fate, Rule, SinkPolicy
from tests.e2e.site import COMMAND, PATIENCE, Site


def test_enqueue_run_finished(site: Site) -> None:
    site.resink(
        SinkPolicy(rules=(Rule(Fate.REJECT, share=0.05), Rule(Fate.DEFER, share=0.1, once=True)))
    )
    campaign = site.enqueue(500)
    assert site.status(campaign)["reason"].startswith("no daemon is alive")
    site.daemon()
    last = site.until_state(campaign, "finished")
    counts = last["counts"]
    assert counts["pending"] == counts["deferred"] == 0
    assert counts["accepted"] + counts["rejected"] == 500
    lines = site.outcomes(campaign)
    assert counts["accepted"] == sum(line["outcome"] == "accepted" for line in lines)
    assert counts["accepted"] == site.sent()
    deferred = [line for line in lines if line["outcome"] == "deferred"]
    assert deferred
    assert {line["attempt"] for line in lines if line["address"] == deferred[0]["address"]} == {
        1,
        2,
    }


def test_status_says_what_is_promised(site: Site) -> None:
    campaign = site.enqueue(10, "--draft", "--key", "spring")
    found = site.status(campaign)
    assert found | {"created_at": 0} == {
        "id": campaign,
        "name": "Spring",
        "account": "acme",
        "state": "draft",
        "reason": f"waits for `campaignd start {campaign}`",
        "counts": {
            "total": 10,
            "pending": 10,
            "deferred": 0,
            "accepted": 0,
            "rejected": 0,
            "expired": 0,
            "suppressed": 0,
            "unknown": 0,
        },
        "events": {"bounced": 0, "complained": 0, "unsubscribed": 0},
        "maybe_duplicates": 0,
        "rate": 0.0,
        "eta_seconds": None,
        "key": "spring",
        "input_rows": 10,
        "invalid_rows": 0,
        "duplicate_rows": 0,
        "created_at": 0,
        "starts_at": None,
        "started_at": None,
        "finished_at": None,
    }
    other = site.enqueue(5, "--draft")
    listed = site.ok("status", "--json", "--state", "draft").json
    assert [entry["id"] for entry in listed] == [other, campaign]
    assert "Spring" in site.ok("status").stdout


def test_pause_stops_within_a_second_and_resume_loses_nothing(site: Site) -> None:
    campaign = site.enqueue(1_500)
    site.daemon(site.configure(rate=500))
    site.until_sent(300)
    site.ok("pause", str(campaign))
    paused = time.time()
    found = site.until_state(campaign, "paused")
    assert found["reason"].startswith("paused by ")
    assert "@" in found["reason"]
    site.until(lambda: time.time() > paused + 2.5, "a while")
    assert max(one.at for one in site.sink.accepted()) < paused + 1
    counts = site.status(campaign)["counts"]
    assert counts["accepted"] == site.sent() < 1_500
    assert counts["unknown"] == 0
    site.ok("resume", str(campaign))
    site.until_state(campaign, "finished")
    assert set(site.check_nothing_lost(campaign, 1_500).values()) == {1}


def test_cancel_ends_it_for_good(site: Site) -> None:
    campaign = site.enqueue(1_500)
    daemon = site.daemon(site.configure(rate=300))
    site.until_sent(50)
    site.ok("cancel", str(campaign))
    cancelled = time.time()
    assert site.status(campaign)["state"] == "cancelled"
    other = site.enqueue(20)
    site.until_state(other, "finished")
    site.until(lambda: time.time() > cancelled + 1.5, "a while")
    assert not [
        one
        for one in site.sink.accepted()
        if one.at > cancelled + 1 and not one.recipient.endswith(_domain(site))
    ]
    daemon.stop()
    assert site.status(campaign)["counts"]["pending"] > 0


def test_draft_and_start(site: Site) -> None:
    site.daemon()
    campaign = site.enqueue(20, "--draft")
    assert site.status(campaign)["state"] == "draft"
    site.ok("start", str(campaign))
    site.until_state(campaign, "finished")


def test_a_scheduled_campaign_starts_by_itself(site: Site) -> None:
    site.daemon()
    at = time.time() + 3
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
    campaign = site.enqueue(20, "--at", stamp)
    found = site.status(campaign)
    assert found["state"] == "scheduled"
    assert found["reason"].startswith("starts at ")
    last = site.until_state(campaign, "finished")
    assert last["started_at"] >= int(at)


def test_two_campaigns_share_a_daemon(site: Site) -> None:
    big = site.enqueue(4_000)
    site.daemon(site.configure(rate=800))
    site.until_sent(50)
    small = site.enqueue(20)
    site.until_state(small, "finished")
    assert site.status(big)["state"] == "running"


def test_watch_ends_with_the_campaign(site: Site) -> None:
    campaign = site.enqueue(200)
    site.daemon(site.configure(rate=200))
    watched = site.ok("status", str(campaign), "--watch")
    lines = watched.stdout.splitlines()
    assert lines[-1].startswith(f"campaign {campaign} finished total=200 pending=0")
    assert site.ok("status", str(campaign), "--watch", "--json").json["state"] == "finished"


def test_outcomes_by_address_and_outcome(site: Site) -> None:
    site.resink(SinkPolicy(rules=(Rule(Fate.REJECT, prefix="u1@"),)))
    campaign = site.enqueue(3)
    domain = _domain(site)
    assert "is pending" in site.ok("outcomes", str(campaign), "--address", "u1@" + domain).stderr
    site.daemon()
    site.until_state(campaign, "finished")
    [line] = site.outcomes(campaign, "--address", f"u1@{domain.upper()}")
    assert (line["outcome"], line["code"], line["attempt"]) == ("rejected", 550, 1)
    assert site.outcomes(campaign, "--outcome", "rejected") == [line]
    printed = site.ok("outcomes", str(campaign)).stdout.splitlines()
    assert printed[0].startswith("address,outcome,code,")
    assert len(printed) == 4
    assert "not in the audience" in site.refused(
        "outcomes", str(campaign), "--address", "nobody@a.example"
    )


def test_a_reader_of_outcomes_may_go_away(site: Site) -> None:
    campaign = site.enqueue(2_000)
    site.daemon()
    site.until_state(campaign, "finished")
    with subprocess.Popen(
        [COMMAND, "--config", site.config, "outcomes", str(campaign)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        process.wait(PATIENCE)


def _domain(site: Site) -> str:
    """Of the audience that was written last."""
    first = (site.folder / "r.csv").read_text().splitlines()[1]
    return first.partition(",")[0].partition("@")[2]


def test_a_finished_campaign_can_only_be_read(site: Site) -> None:
    campaign = site.enqueue(2)
    site.daemon()
    site.until_state(campaign, "finished")
    for command in ("start", "pause", "resume", "cancel"):
        line = site.refused(command, str(campaign))
        assert line == f"campaign {campaign} is finished; it can only be read: status, outcomes"


def test_illegal_transitions_say_what_is_possible(site: Site) -> None:
    campaign = str(site.enqueue(2, "--draft"))
    assert site.refused("pause", campaign).endswith("is draft; possible now: start, cancel")
    assert site.refused("resume", campaign).endswith("is draft; possible now: start, cancel")
    site.ok("start", campaign)
    assert site.refused("start", campaign).endswith("is running; possible now: pause, cancel")
    assert "no campaign 999999" in site.refused("pause", "999999")
