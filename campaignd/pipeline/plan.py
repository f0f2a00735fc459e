"""Which shards this host should hold: a pure decision over what is open, held and free.

Campaigns get slots in turn, by account first, so a new campaign finds one even when a large one
has taken them all: that one hands a shard over. Hosts share a campaign by taking no more than
their part while a peer has slots to spare.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

Shard = tuple[int, int]

SLICE_SECONDS: Final = 10.0
"""How long a campaign's only shard stays when other campaigns have none: long enough to make the
takeover (some 10 ms) cheap, short enough that nobody waits for long."""

SETTLE_SECONDS: Final = 2.0
"""A shard younger than this is not handed to a peer: heartbeats are a second old."""


class Held(NamedTuple):
    """A shard that this host works on."""

    shard: Shard
    account: str
    since: float
    """Monotonic seconds."""


class Offer(NamedTuple):
    """A running campaign with work due."""

    campaign: int
    account: str
    open: int
    """Its shards with work due, leased or not."""
    free: Sequence[int]
    """Those that nobody leases, in the order in which to take them."""


class Peer(NamedTuple):
    """Another host, by its last heartbeat."""

    spare: int
    """Slots that it does not use."""
    held: Mapping[int, int]
    """Its shards by campaign."""


class Plan(NamedTuple):
    """What to hand over and what to take."""

    stop: list[Shard]
    start: list[Shard]


def plan(
    held: Sequence[Held],
    offers: Sequence[Offer],
    peers: Sequence[Peer],
    *,
    slots: int,
    now: float,
    stopping: int = 0,
) -> Plan:
    """`slots` is the most shards this host may hold beside those that it is `stopping` already;
    `now` is monotonic seconds."""
    by_campaign = Counter(run.shard[0] for run in held)
    by_account = Counter(run.account for run in held)
    room = slots - len(held)
    free = {offer.campaign: list(offer.free) for offer in offers}
    start: list[Shard] = []
    for generous in (False, True):
        while room > 0:
            wanting = [
                offer
                for offer in offers
                if free[offer.campaign]
                and (generous or by_campaign[offer.campaign] < _part(offer, peers))
            ]
            if not wanting or (generous and any(peer.spare > 0 for peer in peers)):
                break
            offer = min(
                wanting, key=lambda o: (by_account[o.account], by_campaign[o.campaign], o.campaign)
            )
            start.append((offer.campaign, free[offer.campaign].pop(0)))
            by_campaign[offer.campaign] += 1
            by_account[offer.account] += 1
            room -= 1
    starved = [offer for offer in offers if not by_campaign[offer.campaign] and offer.free]
    stop = _victims(held, by_campaign, len(starved) - stopping, now) if room <= 0 else []
    stop += _surplus(held, offers, peers, by_campaign, now)
    return Plan(list(dict.fromkeys(stop)), start)


def _part(offer: Offer, peers: Sequence[Peer]) -> int:
    """This host's part of a campaign: an equal one with every peer that has it or could."""
    sharing = 1 + sum(1 for peer in peers if peer.spare > 0 or peer.held.get(offer.campaign))
    return -(-offer.open // sharing)


def _victims(
    held: Sequence[Held], by_campaign: Counter[int], count: int, now: float
) -> list[Shard]:
    """Shards to give up so that `count` campaigns without any get a slot."""
    left = Counter(by_campaign)
    stop: list[Shard] = []
    runs = sorted(held, key=lambda run: run.since)
    for _ in range(count):
        able = [
            run
            for run in runs
            if run.shard not in stop
            and (left[run.shard[0]] > 1 or now - run.since >= SLICE_SECONDS)
        ]
        if not able:
            break
        victim = max(able, key=lambda run: (left[run.shard[0]], -run.since))
        stop.append(victim.shard)
        left[victim.shard[0]] -= 1
    return stop


def _surplus(
    held: Sequence[Held],
    offers: Sequence[Offer],
    peers: Sequence[Peer],
    by_campaign: Counter[int],
    now: float,
) -> list[Shard]:
    """One shard of each campaign that a peer with spare slots has clearly fewer of."""
    stop: list[Shard] = []
    for offer in offers:
        ours = by_campaign[offer.campaign]
        if offer.free or not any(
            peer.spare > 0 and peer.held.get(offer.campaign, 0) < ours - 1 for peer in peers
        ):
            continue
        settled = [
            run
            for run in held
            if run.shard[0] == offer.campaign and now - run.since >= SETTLE_SECONDS
        ]
        if settled:
            stop.append(min(settled, key=lambda run: run.since).shard)
    return stop
