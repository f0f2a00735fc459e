"""Each reason why a campaign is not faster, and the figures beside it."""

from __future__ import annotations

from typing import Any

import pytest

from campaignd.model import CampaignState, Counts
from campaignd.status import Host, News, RelayReport, Standing, hosts_from, reason, standing
from campaignd.store.campaigns import Campaign, CampaignSummary
from campaignd.store.standing import NO_WORK, Work

NOW = 1_000_000.0
ID = 7
DUE = Work(open=2, due=2, next_due=NOW - 5)


def summary(
    state: CampaignState = CampaignState.RUNNING,
    *,
    pending: int = 60,
    deferred: int = 0,
    **row: Any,
) -> CampaignSummary:
    settled = 100 - pending - deferred
    campaign = Campaign(
        id=ID,
        account="acme",
        key=None,
        name="Spring",
        state=state,
        reason=row.get("why", ""),
        total=100,
        input_rows=row.get("input_rows", 100),
        invalid_rows=0,
        duplicate_rows=0,
        created_at=NOW - 100,
        starts_at=row.get("starts_at"),
        started_at=NOW - 50,
        finished_at=None,
    )
    return CampaignSummary(campaign, Counts(100, pending, deferred, settled, 0, 0, 0, 0), 0)


def host(name: str = "a", **changes: Any) -> Host:
    """One that works on the campaign."""
    return Host(**{"name": name, "held": 1, "slots": 16, "shards": {ID: 1}, **changes})


def why(*hosts: Host, work: Work = DUE, **kind: Any) -> str:
    return reason(summary(**kind), work, News(hosts), NOW)


def relay(**changes: Any) -> RelayReport:
    return RelayReport(**{"name": "mx1", "state": "up", "sessions": 10, "busy": 3, **changes})


def test_nothing_is_wrong() -> None:
    assert why(host(relays=[relay()])) == ""


def test_no_daemon_is_alive() -> None:
    assert why() == "no daemon is alive: start one with `campaignd run`"


def test_redis_is_away() -> None:
    text = reason(summary(), DUE, News(silence="Redis did not answer within 2 s"), NOW)
    assert text == "nothing is known of the hosts: Redis did not answer within 2 s"


def test_every_daemon_is_draining() -> None:
    assert why(host(draining=True)) == "every daemon is being stopped"


def test_mysql_trouble_at_every_host_is_told_once_for_each_cause() -> None:
    text = why(host("a", trouble="MySQL (2003): away"), host("b", trouble="MySQL (2003): away"))
    assert text == "a, b: MySQL (2003): away"


def test_trouble_at_one_host_does_not_stop_the_other() -> None:
    text = why(host("a", trouble="MySQL (2003): away"), host("b"))
    assert text == "a: MySQL (2003): away"


def test_results_that_cannot_be_recorded() -> None:
    assert why(host(unrecorded_since=NOW - 42)) == "a: cannot record results since 42 s"
    assert why(host(unrecorded_since=NOW - 1)) == ""


def test_waiting_for_retries() -> None:
    work = Work(open=1, due=0, next_due=NOW + 130)
    assert why(host(), work=work, pending=0, deferred=3) == (
        "waits for retries: the next are due in 2 min 10 s"
    )


def test_queued_behind_others() -> None:
    full = host(held=16, shards={3: 16})
    text = "queued behind other campaigns: all 16 shard slots of 1 host are taken"
    assert why(full) == text


def test_a_draining_host_does_not_count_as_room() -> None:
    text = why(host(held=16, shards={3: 16}), host("b", draining=True, held=0, shards={}))
    assert "all 16 shard slots of 1 host" in text


def test_about_to_be_taken_up() -> None:
    assert why(host(held=0, shards={})) == "about to be taken up"


def test_a_relay_that_is_down() -> None:
    down = relay(state="backoff", last_error="connection refused", retry_in=12.2)
    assert why(host(relays=[down])) == "relay mx1 is down: connection refused, next try in 12 s"


def test_a_relay_that_is_down_at_one_host_only() -> None:
    down = relay(state="backoff", last_error="timed out", retry_in=3)
    text = why(host("a", relays=[down]), host("b", relays=[relay()]))
    assert text == "relay mx1 is down at a: timed out, next try in 3 s"


def test_a_relay_that_is_tried_again_right_now() -> None:
    down = relay(state="probing", last_error="timed out")
    assert why(host(relays=[down])) == "relay mx1 is down: timed out"


def test_the_host_limit() -> None:
    text = why(host(limit=100, rates={ID: 60.0, 9: 38.0}))
    assert text.startswith("throttled by [limits] messages_per_second = 100 at a")
    assert why(host(limit=100, rates={ID: 40.0})) == ""


def test_a_relay_limit() -> None:
    text = why(host(relays=[relay(rate_limited=True)]))
    assert text == "throttled by messages_per_second of relay mx1"


def test_reasons_that_slow_down_are_joined() -> None:
    down = relay(state="backoff", last_error="refused", retry_in=1)
    text = why(host(limit=10, rates={ID: 9.9, 8: 0.1}, relays=[down]))
    assert [part.split()[0] for part in text.split("; ")] == ["relay", "throttled", "shares"]


def test_busy_relays_are_the_bottleneck() -> None:
    text = why(host(relays=[relay(sessions=1_200, busy=1_200)]))
    assert text == "as fast as its relays answer: 1,200 of 1,200 sessions busy"


def test_only_retries_are_left() -> None:
    assert why(host(), pending=0, deferred=2) == "only retries are left"


def test_about_to_finish() -> None:
    assert why(host(), pending=0) == "about to finish"


def test_waiting_for_its_time() -> None:
    text = reason(summary(CampaignState.SCHEDULED, starts_at=NOW + 7_200), DUE, News(), NOW)
    assert text == "starts at 1970-01-12 15:46:40 UTC (in 2 h)"


def test_its_time_has_come_but_nobody_is_there() -> None:
    text = reason(summary(CampaignState.SCHEDULED, starts_at=NOW - 60), DUE, News(), NOW)
    assert text.endswith("no daemon is alive: start one with `campaignd run`")
    text = reason(summary(CampaignState.SCHEDULED, starts_at=NOW - 1), DUE, News([host()]), NOW)
    assert text.endswith("about to start")


@pytest.mark.parametrize(
    ("state", "row", "text"),
    [
        (CampaignState.PAUSED, {"why": "paused by anna@ops1"}, "paused by anna@ops1"),
        (CampaignState.PAUSED, {}, "paused"),
        (CampaignState.CANCELLED, {"why": "cancelled by anna@ops1"}, "cancelled by anna@ops1"),
        (CampaignState.DRAFT, {}, "waits for `campaignd start 7`"),
        (CampaignState.LOADING, {"input_rows": 5_000}, "loaded: 5,000 rows so far"),
        (CampaignState.FINISHED, {}, ""),
    ],
)
def test_states_that_need_no_hosts(state: CampaignState, row: dict[str, Any], text: str) -> None:
    assert reason(summary(state, **row), NO_WORK, News(), NOW).endswith(text)


def test_the_rate_is_that_of_all_hosts() -> None:
    found = standing(
        summary(), DUE, News([host("a", rates={ID: 4.0}), host("b", rates={ID: 2.0, 9: 50})]), NOW
    )
    assert found.rate == 6.0
    assert found.eta_seconds == 10.0


@pytest.mark.parametrize(
    ("kind", "rate", "eta"),
    [
        ({}, 0.0, None),
        ({"pending": 0, "deferred": 1}, 5.0, None),
        ({"state": CampaignState.PAUSED}, 5.0, None),
        ({"state": CampaignState.FINISHED, "pending": 0}, 5.0, 0.0),
    ],
)
def test_an_eta_only_where_it_can_be_told(
    kind: dict[str, Any], rate: float, eta: float | None
) -> None:
    assert standing(summary(**kind), DUE, News([host(rates={ID: rate})]), NOW).eta_seconds == eta


def test_the_facts_have_what_is_promised() -> None:
    facts = Standing(summary(), "why", 3.14159, 12.0).facts()
    assert list(facts)[:9] == [
        "id", "name", "account", "state", "reason", "counts", "maybe_duplicates", "rate",
        "eta_seconds",
    ]  # fmt: skip
    assert facts["events"] == {"bounced": 0, "complained": 0, "unsubscribed": 0}
    assert list(facts["counts"]) == [
        "total", "pending", "deferred", "accepted", "rejected", "expired", "suppressed", "unknown",
    ]  # fmt: skip
    assert facts["rate"] == 3.1


def test_a_heartbeat_is_read() -> None:
    report = {
        "slots": 16, "held": 2, "shards": {"7": 2}, "rates": {"7": 12.5}, "limit": None,
        "relays": [{"name": "mx1", "state": "up", "busy": 1, "new_key": 1}], "version": "9",
    }  # fmt: skip
    [found] = hosts_from({"a": report})
    assert (found.name, found.shards, found.rates) == ("a", {7: 2}, {7: 12.5})
    assert found.relays[0].name == "mx1"


def test_a_heartbeat_that_cannot_be_read_still_counts_as_a_host() -> None:
    assert hosts_from({"b": {"slots": "many"}, "a": {}}) == [Host(name="a"), Host(name="b")]
