"""The Prometheus metrics of a daemon. Updated in batches, never once per message."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector

from campaignd.model import Outcome, SuppressionReason

registry: Final = CollectorRegistry()
ProcessCollector(registry=registry)
GCCollector(registry=registry)

_outcomes: Final = Counter(
    "campaignd_facts",
    "Results committed to the ledger, by outcome.",
    ["outcome"],
    registry=registry,
)
outcomes: Final = {outcome: _outcomes.labels(outcome.label) for outcome in Outcome}

_suppressed: Final = Counter(
    "campaignd_suppressed",
    "Recipients not written to because they are suppressed, by the reason for it.",
    ["reason"],
    registry=registry,
)
suppressed: Final = {reason.value: _suppressed.labels(reason.label) for reason in SuppressionReason}

bounces: Final = Counter(
    "campaignd_bounces",
    "Final refusals committed to the ledger, by class and by the relay that brought them.",
    ["bounce", "relay"],
    registry=registry,
)
brakes: Final = Counter(
    "campaignd_brakes", "Campaigns that this host paused by its brakes.", ["cause"],
    registry=registry,
)  # fmt: skip

claimed: Final = Counter(
    "campaignd_claimed", "Attempts claimed before sending (R2, R6).", registry=registry
)
record_seconds: Final = Histogram(
    "campaignd_record_seconds",
    "Time of one transaction that records results.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 15),
    registry=registry,
)
takeovers: Final = Counter(
    "campaignd_takeovers", "Shards taken by this host.", ["clean"], registry=registry
)
fenced_writes: Final = Counter(
    "campaignd_fenced_writes", "Writes refused because another host took the shard.",
    registry=registry,
)  # fmt: skip
ambiguous: Final = Counter(
    "campaignd_ambiguous",
    "Attempts of lost hosts settled as unknown by this one (R5).",
    registry=registry,
)
outages: Final = Counter(
    "campaignd_outages",
    "Failed exchanges with MySQL, Redis, a relay or a webhook's provider, logged or not.",
    ["what"],
    registry=registry,
)
lines_suppressed: Final = Counter(
    "campaignd_log_lines_suppressed",
    "Log lines left out because their cause was logged within ten seconds.",
    registry=registry,
)
held_shards: Final = Gauge("campaignd_held_shards", "Shards held.", registry=registry)
turns_used: Final = Gauge(
    "campaignd_claimed_unrecorded",
    "Recipients claimed and not yet recorded; bounded by campaignd_claimed_unrecorded_limit.",
    registry=registry,
)
turns_capacity: Final = Gauge(
    "campaignd_claimed_unrecorded_limit", "Bound of the above.", registry=registry
)
unsigned: Final = Gauge(
    "campaignd_unsigned", "Composed messages waiting for their signature.", registry=registry
)
queued: Final = Gauge("campaignd_queued", "Composed messages waiting for a session.",
    registry=registry)  # fmt: skip
in_flight: Final = Gauge("campaignd_in_flight", "Messages in a session.", registry=registry)
sessions: Final = Gauge("campaignd_sessions", "Open sessions.", registry=registry)
backlog: Final = Gauge("campaignd_record_backlog", "Results not committed yet.", registry=registry)
relay_up: Final = Gauge(
    "campaignd_relay_up", "1 while the relay takes messages.", ["relay"], registry=registry
)
loop_lag_seconds: Final = Gauge(
    "campaignd_loop_lag_seconds", "How late the event loop ran a timer, last second's worst.",
    registry=registry,
)  # fmt: skip

unsubscribes: Final = Counter(
    "campaignd_unsubscribes",
    "Uses of unsubscribe links by POST, and links that are not ours, by what became of them.",
    ["result"],
    registry=registry,
)
webhook_notices: Final = Counter(
    "campaignd_webhook_notices",
    "Bounces, complaints and unsubscribes that providers told of, by what became of them.",
    ["webhook", "result"],
    registry=registry,
)
webhook_refused: Final = Counter(
    "campaignd_webhook_refused",
    "Requests to webhooks that were not the provider's, or not what it sends.",
    ["webhook", "reason"],
    registry=registry,
)
web_limited: Final = Counter(
    "campaignd_web_limited", "Requests of the web that were answered 429.", registry=registry
)
web_budgets: Final = Gauge(
    "campaignd_web_budgets",
    "Clients and links whose requests are being counted; bounded by 10,000.",
    registry=registry,
)

received: Final = Counter(
    "campaignd_received",
    "Mail that came back to `campaignd receive`, by what it is and what became of it.",
    ["kind", "result"],
    registry=registry,
)


def exposition() -> bytes:
    """All metrics in the Prometheus text format."""
    return generate_latest(registry)
