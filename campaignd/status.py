"""Where a campaign stands, and why it is not faster.

Pure: what MySQL, the heartbeats and the clock say is passed in. `reason` looks first for what
stops a campaign altogether, then for all that slows it down.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from campaignd.model import CampaignState, Counts
from campaignd.store.campaigns import CampaignSummary
from campaignd.store.feedback import NO_EVENTS, EventCounts
from campaignd.store.standing import Work
from campaignd.wording import duration, moment, plural, relative

THROTTLED: Final = 0.8
"""From this part of a limit on, the limit is what holds a host back: rates are measured by the
second and smoothed."""

BUSY: Final = 0.9
"""From this part of busy sessions on, the relays are what a host waits for."""

UNRECORDED_SECONDS: Final = 3.0
"""Results that wait for MySQL longer than this are trouble."""

NAMED: Final = 3
"""So many hosts or relays are named one by one."""


class RelayReport(msgspec.Struct, frozen=True, kw_only=True):
    """A relay as a heartbeat shows it; see net.lane.RelayStatus."""

    name: str = "?"
    state: str = "up"
    sessions: int = 0
    busy: int = 0
    last_error: str = ""
    retry_in: float = 0.0
    rate_limited: bool = False


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """A daemon's last heartbeat. What a daemon of another version does not say has a default."""

    name: str = "?"
    held: int = 0
    slots: int = 0
    shards: dict[int, int] = {}
    rates: dict[int, float] = {}
    sessions: int = 0
    relays: list[RelayReport] = []
    limit: float | None = None
    trouble: str = ""
    unrecorded_since: float | None = None
    draining: bool = False


class News(NamedTuple):
    """What is known of the hosts."""

    hosts: Sequence[Host] = ()
    silence: str = ""
    """Why nothing is known of them: Redis cannot be asked."""


class Standing(NamedTuple):
    """All that `status` says of one campaign."""

    summary: CampaignSummary
    reason: str
    """Why it is not faster, or empty when nothing is to be said."""
    rate: float
    """Results a second, over all hosts."""
    eta_seconds: float | None
    """Until nothing is pending at this rate; None when that cannot be told."""
    events: EventCounts = NO_EVENTS
    """What came after the outcomes, which it does not change."""

    def facts(self) -> dict[str, Any]:
        """As `status --json` prints it. Times are epoch seconds."""
        campaign, counts = self.summary.campaign, self.summary.counts
        return {
            "id": campaign.id,
            "name": campaign.name,
            "account": campaign.account,
            "state": campaign.state.value,
            "reason": self.reason,
            "counts": counts._asdict(),
            "maybe_duplicates": self.summary.maybe_duplicates,
            "rate": round(self.rate, 1),
            "eta_seconds": None if self.eta_seconds is None else round(self.eta_seconds, 1),
            "events": self.events._asdict(),
            "key": campaign.key,
            "input_rows": campaign.input_rows,
            "invalid_rows": campaign.invalid_rows,
            "duplicate_rows": campaign.duplicate_rows,
            "created_at": campaign.created_at,
            "starts_at": campaign.starts_at,
            "started_at": campaign.started_at,
            "finished_at": campaign.finished_at,
        }


def hosts_from(reports: Mapping[str, Mapping[str, Any]]) -> list[Host]:
    """The hosts alive, by name. A heartbeat that cannot be read counts as a host without news."""
    found = []
    for name, report in sorted(reports.items()):
        try:
            found.append(msgspec.convert({**report, "name": name}, Host, strict=False))
        except msgspec.ValidationError:
            found.append(Host(name=name))
    return found


def standing(
    summary: CampaignSummary,
    work: Work,
    news: News,
    now: float,
    events: EventCounts = NO_EVENTS,
) -> Standing:
    """`now` is epoch seconds."""
    campaign = summary.campaign
    rate = 0.0
    if campaign.state is not CampaignState.FINISHED:
        rate = sum((host.rates.get(campaign.id, 0.0) for host in news.hosts), 0.0)
    return Standing(
        summary,
        reason(summary, work, news, now),
        rate,
        _eta(campaign.state, summary.counts, rate),
        events,
    )


def reason(summary: CampaignSummary, work: Work, news: News, now: float) -> str:
    """Why the campaign is not faster, in one line; empty when it is over or nothing is wrong."""
    campaign = summary.campaign
    if campaign.state is CampaignState.RUNNING:
        return _why_running(summary, work, news, now)
    if campaign.state is CampaignState.LOADING:
        return f"its audience is being loaded: {plural(campaign.input_rows, 'row')} so far"
    if campaign.state is CampaignState.DRAFT:
        return f"waits for `campaignd start {campaign.id}`"
    if campaign.state is CampaignState.SCHEDULED and campaign.starts_at is not None:
        return _why_scheduled(campaign.starts_at, news, now)
    if campaign.state is CampaignState.PAUSED:
        return campaign.reason or "paused"
    return campaign.reason


def _eta(state: CampaignState, counts: Counts, rate: float) -> float | None:
    if state is CampaignState.FINISHED:
        return 0.0
    if state is not CampaignState.RUNNING or rate <= 0 or not counts.pending:
        return None
    return counts.pending / rate


def _why_scheduled(starts_at: float, news: News, now: float) -> str:
    text = f"starts at {moment(starts_at)} ({relative(starts_at, now)})"
    if starts_at > now:
        return text
    return f"its time was {moment(starts_at)}; {_why_nobody(news) or 'about to start'}"


def _why_running(summary: CampaignSummary, work: Work, news: News, now: float) -> str:
    if not summary.counts.pending + summary.counts.deferred:
        return "about to finish"
    stopped = (
        _why_nobody(news)
        or _why_trouble(news.hosts, now)
        or _why_not_due(work, now)
        or _why_not_held(summary.campaign.id, news.hosts)
    )
    if stopped:
        return stopped
    hosts = [host for host in news.hosts if host.shards.get(summary.campaign.id)]
    slowed = [*_relays_down(hosts), *_limits(hosts), *_partial_trouble(news.hosts, now)]
    slowed += _others(summary.campaign.id, hosts)
    if not slowed and not summary.counts.pending:
        slowed = ["only retries are left"]
    return "; ".join(slowed) or _bottleneck(hosts)


def _why_nobody(news: News) -> str:
    if news.silence:
        return f"nothing is known of the hosts: {news.silence}"
    if not news.hosts:
        return "no daemon is alive: start one with `campaignd run`"
    if all(host.draining for host in news.hosts):
        return "every daemon is being stopped"
    return ""


def _trouble(host: Host, now: float) -> str:
    if host.trouble:
        return host.trouble
    since = host.unrecorded_since
    if since is not None and now - since > UNRECORDED_SECONDS:
        return f"cannot record results since {duration(now - since)}"
    return ""


def _why_trouble(hosts: Iterable[Host], now: float) -> str:
    able = [host for host in hosts if not host.draining]
    if any(not _trouble(host, now) for host in able):
        return ""
    return "; ".join(_by_text(able, lambda host: _trouble(host, now)))


def _partial_trouble(hosts: Iterable[Host], now: float) -> list[str]:
    return _by_text([host for host in hosts if _trouble(host, now)], lambda h: _trouble(h, now))


def _why_not_due(work: Work, now: float) -> str:
    if work.due or work.next_due is None:
        return ""
    return f"waits for retries: the next are due {relative(work.next_due, now)}"


def _why_not_held(campaign: int, hosts: Sequence[Host]) -> str:
    if any(host.shards.get(campaign) for host in hosts):
        return ""
    able = [host for host in hosts if not host.draining]
    if all(host.held >= host.slots for host in able):
        slots = sum(host.slots for host in able)
        return (
            f"queued behind other campaigns: all {plural(slots, 'shard slot')} of"
            f" {plural(len(able), 'host')} are taken"
        )
    return "about to be taken up"


def _relays_down(hosts: Sequence[Host]) -> list[str]:
    """A relay that several hosts cannot reach is named once."""
    down: dict[str, tuple[RelayReport, list[str]]] = {}
    for host in hosts:
        for relay in host.relays:
            if relay.state in ("backoff", "probing"):
                known = down.setdefault(relay.name, (relay, []))
                known[1].append(host.name)
    found = []
    for relay, names in down.values():
        retry = f", next try in {duration(relay.retry_in)}" if relay.state == "backoff" else ""
        at = "" if len(names) == len(hosts) else f" at {_names(names)}"
        found.append(f"relay {relay.name} is down{at}: {relay.last_error or 'no answer'}{retry}")
    return found


def _limits(hosts: Sequence[Host]) -> list[str]:
    found = []
    held = [h for h in hosts if h.limit and sum(h.rates.values()) >= THROTTLED * h.limit]
    if held:
        limits = sorted({f"{host.limit:g}" for host in held})
        found.append(
            f"throttled by [limits] messages_per_second = {' or '.join(limits)}"
            f" at {_names([host.name for host in held])}"
        )
    relays = sorted({relay.name for h in hosts for relay in h.relays if relay.rate_limited})
    if relays:
        found.append(f"throttled by messages_per_second of relay {_names(relays)}")
    return found


def _others(campaign: int, hosts: Sequence[Host]) -> list[str]:
    others = {other for host in hosts for other in host.rates if other != campaign}
    return [f"shares its hosts with {plural(len(others), 'other campaign')}"] if others else []


def _bottleneck(hosts: Sequence[Host]) -> str:
    sessions = sum(relay.sessions for host in hosts for relay in host.relays)
    busy = sum(relay.busy for host in hosts for relay in host.relays)
    if sessions and busy >= BUSY * sessions:
        return f"as fast as its relays answer: {busy:,} of {plural(sessions, 'session')} busy"
    return ""


def _by_text(hosts: Iterable[Host], text: Callable[[Host], str]) -> list[str]:
    names: dict[str, list[str]] = {}
    for host in hosts:
        names.setdefault(text(host), []).append(host.name)
    return [f"{_names(who)}: {what}" for what, who in names.items()]


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(names[:NAMED])
    return shown if len(names) <= NAMED else f"{shown} and {len(names) - NAMED} more"
