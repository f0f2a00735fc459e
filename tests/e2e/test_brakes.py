"""Campaigns that pause themselves, and those that must not, against receivers that refuse."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Final

import pytest

from campaignd.config import Brakes, Relay
from campaignd.sandbox.policy import Fate, Rule, SinkPolicy
from campaignd.sandbox.sinkprocess import SinkProcess
from tests.e2e.site import Process, Site

SAMPLE: Final = 60
RATE: Final = 300.0
"""Messages a second, so that a brake has time to act before a small campaign is through."""

REJECTS: Final = SinkPolicy(rules=(Rule(Fate.REJECT, share=1.0),))
BAD_PREFIX: Final = SinkPolicy(rules=(Rule(Fate.REJECT, prefix="bad"),))


def enqueue(
    site: Site, count: int, *, bad: int = 0, bad_domain: str | None = None, name: str = "bad"
) -> int:
    """Recipients at ten domains; `bad` of ten have a local part that BAD_PREFIX refuses, or those
    of `bad_domain` have."""
    rows = ["email,name"]
    for n in range(count):
        domain = f"d{n % 10}.example"
        refused = domain == bad_domain if bad_domain else n // 10 % 10 < bad
        rows.append(f"{name if refused else 'good'}{n}@{domain},Name")
    (site.folder / "brakes.csv").write_text("\n".join(rows) + "\n")
    done = site.ok("enqueue", site.campaign(), "--recipients", "brakes.csv")
    return int(done.stdout)


def daemon(site: Site, *sinks: SinkProcess, sample: int = SAMPLE) -> Process:
    relays = [
        Relay(name=f"r{n}", host="127.0.0.1", port=sink.port, tls="none", connections=4)
        for n, sink in enumerate(sinks)
    ]
    brakes = Brakes(window=60.0, sample=sample)
    return site.daemon(site.configure(rate=RATE, relays=relays, brakes=brakes))


@pytest.fixture
def sinks() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def sink(site: Site, stack: ExitStack, name: str, policy: SinkPolicy) -> SinkProcess:
    log = site.folder / f"{name}.jsonl"
    return stack.enter_context(SinkProcess(policy, supervisor=site.box.supervisor, log=log))


def test_refused_everywhere_it_pauses_and_says_why(site: Site, sinks: ExitStack) -> None:
    campaign = enqueue(site, 2_000)
    bad = [sink(site, sinks, name, REJECTS) for name in ("one", "two")]
    running = daemon(site, *bad)
    found = site.until_state(campaign, "paused")
    assert found["reason"].startswith("paused by brakes: 100 % of ")
    assert found["reason"].endswith(" attempts rejected in 1 min, mostly address_bad")
    assert SAMPLE <= found["counts"]["rejected"] < 2_000
    [event] = running.events("campaign-paused")
    assert event["reason"] == found["reason"]
    assert "@" not in found["reason"]

    # resumed, it has a fresh window, and its next attempts are judged by themselves
    before = found["counts"]["rejected"]
    site.ok("resume", str(campaign))
    site.until(lambda: len(running.events("campaign-paused")) == 2, "it pauses once more")
    found = site.until_state(campaign, "paused")
    assert found["counts"]["rejected"] >= before + SAMPLE


def test_one_relay_of_two_is_no_reason(site: Site, sinks: ExitStack) -> None:
    campaign = enqueue(site, 300)
    slow = SinkPolicy(delay=0.1)  # so that the other one gets its part
    running = daemon(site, sink(site, sinks, "bad", REJECTS), sink(site, sinks, "good", slow))
    counts = site.until_state(campaign, "finished")["counts"]
    assert counts["rejected"] > 300 * Brakes().rejected
    assert running.events("campaign-paused") == []


def test_one_destination_is_no_reason(site: Site, sinks: ExitStack) -> None:
    campaign = enqueue(site, 400, bad_domain="d3.example")
    running = daemon(site, sink(site, sinks, "sink", BAD_PREFIX))
    assert site.until_state(campaign, "finished")["counts"]["rejected"] == 40
    assert running.events("campaign-paused") == []


def test_a_usual_share_or_a_small_sample_is_no_reason(site: Site, sinks: ExitStack) -> None:
    usual = sink(site, sinks, "usual", BAD_PREFIX)
    campaign = enqueue(site, 400, bad=1)
    running = daemon(site, usual)
    assert site.until_state(campaign, "finished")["counts"]["rejected"] == 40
    few = enqueue(site, SAMPLE - 1, bad=10, name="bad-few")
    assert site.until_state(few, "finished")["counts"]["rejected"] == SAMPLE - 1
    assert running.events("campaign-paused") == []


def test_who_does_not_exist_is_not_written_to_again(site: Site, sinks: ExitStack) -> None:
    campaign = enqueue(site, 50, bad=2)
    daemon(site, sink(site, sinks, "sink", BAD_PREFIX))
    assert site.until_state(campaign, "finished")["counts"]["rejected"] == 20
    refused = site.outcomes(campaign, "--bounce", "address_bad")
    assert len(refused) == 20
    assert {line["bounce"] for line in refused} == {"address_bad"}
    assert site.outcomes(campaign, "--bounce", "reputation") == []
    assert {line["bounce"] for line in site.outcomes(campaign, "--outcome", "accepted")} == {""}
    again = enqueue(site, 50, bad=2)
    counts = site.until_state(again, "finished")["counts"]
    assert (counts["suppressed"], counts["rejected"]) == (20, 0)
