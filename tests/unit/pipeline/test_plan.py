from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from campaignd.pipeline.plan import SETTLE_SECONDS, SLICE_SECONDS, Held, Offer, Peer, Shard, plan

NOW = 1_000.0
OLD = NOW - 100.0


def held(*shards: Shard, account: str = "a", since: float = OLD) -> list[Held]:
    return [Held(shard, account, since) for shard in shards]


def offer(campaign: int, free: list[int], *, opened: int = 0, account: str = "a") -> Offer:
    return Offer(campaign, account, opened or len(free), free)


def test_takes_what_is_free_up_to_its_slots() -> None:
    decided = plan([], [offer(1, [4, 5, 6])], [], slots=2, now=NOW)
    assert decided == ([], [(1, 4), (1, 5)])


def test_accounts_take_turns_then_campaigns() -> None:
    offers = [
        offer(1, [0, 1, 2, 3], account="big"),
        offer(2, [0, 1, 2, 3], account="big"),
        offer(3, [0, 1, 2, 3], account="small"),
    ]
    decided = plan([], offers, [], slots=4, now=NOW)
    assert decided.start == [(1, 0), (3, 0), (2, 0), (3, 1)]


def test_a_new_campaign_gets_a_slot_of_one_that_has_several() -> None:
    runs = held((1, 0), (1, 1), (2, 0))
    decided = plan(runs, [offer(1, [], opened=2), offer(3, [0])], [], slots=3, now=NOW)
    assert decided.start == []
    assert len(decided.stop) == 1
    assert decided.stop[0][0] == 1


def test_the_only_shard_of_a_campaign_stays_for_a_slice() -> None:
    young = held((1, 0), since=NOW - SLICE_SECONDS / 2)
    assert plan(young, [offer(2, [0])], [], slots=1, now=NOW).stop == []
    old = held((1, 0), since=NOW - SLICE_SECONDS)
    assert plan(old, [offer(2, [0])], [], slots=1, now=NOW).stop == [(1, 0)]


def test_no_more_is_given_up_while_a_slot_is_on_its_way() -> None:
    """A shard that stops may take minutes for its last reply; meanwhile the next look must not
    stop another one for the same campaign."""
    runs = held((1, 0), (1, 1))
    offers = [offer(1, [], opened=2), offer(3, [0])]
    assert plan(runs, offers, [], slots=2, stopping=1, now=NOW).stop == []
    assert len(plan(runs, offers, [], slots=2, stopping=0, now=NOW).stop) == 1


def test_shares_a_campaign_with_a_peer_that_has_slots() -> None:
    peer = Peer(spare=4, held={})
    decided = plan([], [offer(1, [0, 1, 2])], [peer], slots=8, now=NOW)
    assert decided.start == [(1, 0), (1, 1)]
    busy = Peer(spare=0, held={})
    assert len(plan([], [offer(1, [0, 1, 2])], [busy], slots=8, now=NOW).start) == 3


def test_hands_a_surplus_over_but_not_to_and_fro() -> None:
    runs = held((1, 0), (1, 1), (1, 2))
    nothing_free = [offer(1, [], opened=3)]
    assert plan(runs, nothing_free, [Peer(4, {})], slots=8, now=NOW).stop == [(1, 0)]
    assert plan(runs, nothing_free, [Peer(4, {1: 2})], slots=8, now=NOW).stop == []
    assert plan(runs, nothing_free, [Peer(0, {})], slots=8, now=NOW).stop == []
    young = held((1, 0), (1, 1), (1, 2), since=NOW - SETTLE_SECONDS / 2)
    assert plan(young, nothing_free, [Peer(4, {})], slots=8, now=NOW).stop == []


campaigns = st.integers(1, 5)
situations = st.tuples(
    st.sets(st.tuples(campaigns, st.integers(0, 5)), max_size=10),
    st.lists(st.tuples(campaigns, st.sets(st.integers(6, 12))), unique_by=lambda o: o[0]),
    st.lists(
        st.builds(Peer, st.integers(-2, 9), st.dictionaries(campaigns, st.integers(1, 9))),
        max_size=3,
    ),
    st.integers(0, 10),
)


@given(situations)
def test_never_more_than_the_slots_and_never_anything_foreign(
    situation: tuple[set[Shard], list[tuple[int, set[int]]], list[Peer], int],
) -> None:
    mine, offered, peers, slots = situation
    offers = [Offer(c, f"account {c % 2}", len(free) + 3, sorted(free)) for c, free in offered]
    runs = [Held(shard, f"account {shard[0] % 2}", OLD) for shard in sorted(mine)]
    stop, start = plan(runs, offers, peers, slots=slots, now=NOW)
    assert set(stop) <= mine
    assert len(set(stop)) == len(stop)
    assert len(set(start)) == len(start)
    assert all(any(o.campaign == c and n in o.free for o in offers) for c, n in start)
    assert not start or len(mine) + len(start) <= slots
    if not peers and len(mine) < slots:
        assert len(start) == min(slots - len(mine), sum(len(o.free) for o in offers))


@given(situations)
def test_with_room_nobody_starves(
    situation: tuple[set[Shard], list[tuple[int, set[int]]], list[Peer], int],
) -> None:
    mine, offered, _, slots = situation
    offers = [Offer(c, "a", len(free), sorted(free)) for c, free in offered]
    runs = [Held(shard, "a", OLD) for shard in sorted(mine)]
    stop, start = plan(runs, offers, [], slots=slots, now=NOW)
    served = {c for c, _ in mine} | {c for c, _ in start}
    starving = [o for o in offers if o.free and o.campaign not in served]
    assert len(stop) >= min(len(starving), len(mine))
