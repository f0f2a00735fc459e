"""When a campaign pauses itself: the decision, without a clock or a database."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from campaignd.config import Brakes as Limits
from campaignd.model import Outcome
from campaignd.pipeline.brakes import (
    BUCKETS,
    COMPLAINTS,
    DOMAINS,
    Brakes,
    Cause,
    Tally,
    complaints,
    late_bounces,
    too_many,
)
from campaignd.smtp.bounces import Bounce

ACCEPTED, REJECTED, DEFERRED = Outcome.ACCEPTED, Outcome.REJECTED, Outcome.DEFERRED
NOW = 1_790_000_000.0
LIMITS = Limits(window=300.0, sample=100, rejected=0.2, authentication=0.05)


class Answers(NamedTuple):
    """So many attempts at one relay and one domain, of which so many were refused."""

    attempts: int
    refused: int
    relay: str = "one"
    domain: str = "a.example"
    outcome: Outcome = REJECTED
    bounce: Bounce = Bounce.ADDRESS_BAD


def after(*answers: Answers, at: float = NOW, limits: Limits = LIMITS) -> Brakes:
    """What a host knows after these, which came in turn."""
    brakes = Brakes(limits)
    left = [(one, n) for one in answers for n in range(one.attempts)]
    left.sort(key=lambda item: item[1] / item[0].attempts)
    for one, n in left:
        # spread, so that refusals are not the first attempts of a domain alone
        refused = (n + 1) * one.refused // one.attempts > n * one.refused // one.attempts
        brakes.saw(
            7,
            one.relay,
            f"r{n}@{one.domain}".encode(),
            one.outcome if refused else ACCEPTED,
            one.bounce if refused else None,
            at,
        )
    return brakes


def cause(brakes: Brakes, now: float = NOW) -> Cause | None:
    brake = brakes.judge(7, now)
    return None if brake is None else brake.cause


def spread(refused: int, **more: str) -> list[Answers]:
    """The same share of refusals at many domains."""
    return [Answers(40, refused, domain=f"d{n}.example", **more) for n in range(10)]


def test_a_list_that_is_bad_everywhere() -> None:
    brake = after(*spread(15)).judge(7, NOW)
    assert brake is not None
    assert brake.cause is Cause.REJECTED
    assert brake.reason == (
        "paused by brakes: 38 % of 400 attempts rejected in 5 min, mostly address_bad"
    )


@pytest.mark.parametrize("refused", [0, 4, 8])
def test_a_usual_list(refused: int) -> None:
    assert cause(after(*spread(refused))) is None


def test_authentication_has_its_own_threshold_and_counts_what_is_put_off() -> None:
    answers = [one._replace(outcome=DEFERRED, bounce=Bounce.AUTHENTICATION) for one in spread(4)]
    brake = after(*answers).judge(7, NOW)
    assert brake is not None
    assert brake.cause is Cause.AUTHENTICATION
    assert brake.reason == "paused by brakes: 10 % of 400 attempts failed authentication in 5 min"


def test_what_is_put_off_for_another_reason_is_no_rejection() -> None:
    answers = [one._replace(outcome=DEFERRED, bounce=Bounce.GREYLISTED) for one in spread(40)]
    assert cause(after(*answers)) is None


def test_one_relay_that_rejects_everything() -> None:
    good = [one._replace(relay="good") for one in spread(1)]
    bad = [one._replace(relay="bad") for one in spread(40)]
    assert cause(after(*good, *bad)) is None
    assert cause(after(*bad)) is Cause.REJECTED, "the only one in use is no exception"


def test_one_destination_that_rejects_everything() -> None:
    assert cause(after(*spread(1), Answers(400, 400, domain="big.example"))) is None
    assert cause(after(Answers(400, 400, domain="only.example"))) is None


def test_one_destination_does_not_hide_the_others() -> None:
    assert cause(after(*spread(15), Answers(400, 400, domain="big.example"))) is Cause.REJECTED


def test_a_few_others_prove_nothing() -> None:
    few = Answers(5, 5, domain="few.example")
    assert cause(after(Answers(400, 400, domain="big.example"), few)) is None


def test_what_the_relay_has_against_us_never_counts() -> None:
    answers = [one._replace(outcome=REJECTED, bounce=Bounce.RELAY) for one in spread(40)]
    assert cause(after(*answers)) is None


def test_below_the_sample() -> None:
    few = [Answers(9, 9, domain=f"d{n}.example") for n in range(11)]
    assert cause(after(*few)) is None
    assert cause(after(*few, Answers(1, 1, domain="x.example"))) is Cause.REJECTED


def test_never() -> None:
    never = Limits(sample=100, rejected=1.0, authentication=1.0, complained=1.0)
    answers = [one._replace(bounce=Bounce.AUTHENTICATION) for one in spread(40)]
    assert cause(after(*answers, limits=never)) is None
    assert complaints(1_000, 1_000, never) is None


def test_what_is_older_than_the_window_is_forgotten() -> None:
    brakes = after(*spread(15))
    part = LIMITS.window / BUCKETS
    assert cause(brakes, NOW + LIMITS.window - part) is Cause.REJECTED
    assert cause(brakes, NOW + LIMITS.window + part) is None


def test_a_resumed_campaign_begins_a_new_window() -> None:
    brakes = after(*spread(15))
    brakes.keep({7, 8})
    assert cause(brakes) is Cause.REJECTED
    brakes.forget(7)
    assert cause(brakes) is None
    brakes = after(*spread(15))
    brakes.keep({8})
    assert list(brakes) == []


def test_memory_is_bounded() -> None:
    brakes = Brakes(LIMITS)
    for n in range(50_000):
        at = NOW + n / 50
        brakes.saw(7, "one", f"r@d{n}.example".encode(), REJECTED, Bounce.POLICY, at)
    [buckets] = brakes._windows.values()
    assert len(buckets) <= BUCKETS + 1
    assert all(len(bucket.domains) <= DOMAINS for bucket in buckets)


def test_complaints() -> None:
    limits = Limits(sample=500, complained=0.003)
    assert complaints(COMPLAINTS - 1, 500, limits) is None, "a handful may be chance"
    assert complaints(30, 10_000, limits) is None
    assert complaints(400, 499, limits) is None
    brake = complaints(31, 10_000, limits)
    assert brake is not None
    assert brake.cause is Cause.COMPLAINED
    assert brake.reason == ("paused by brakes: 0.31 % of 10,000 accepted messages complained about")


@pytest.mark.parametrize(
    ("bounced", "worst", "accepted", "pauses"),
    [
        (30, 5, 100, True),
        (20, 0, 100, False),
        (21, 0, 100, True),
        (30, 20, 100, False),  # one destination
        (100, 100, 100, False),
        (97, 92, 100, False),  # nothing is known of the others
        (30, 5, 99, False),  # below the sample
    ],
)
def test_late_bounces(bounced: int, worst: int, accepted: int, pauses: bool) -> None:
    assert (late_bounces(bounced, worst, accepted, LIMITS) is not None) is pauses


tallies = st.lists(
    st.tuples(st.integers(1, 2_000), st.integers(0, 2_000)).map(
        lambda pair: Tally(pair[0], min(pair))
    ),
    min_size=1,
    max_size=8,
)


@given(tallies, tallies, st.floats(0.01, 1.0), st.integers(1, 2_000))
def test_never_for_one_relay_or_one_destination(
    relays: list[Tally], domains: list[Tally], threshold: float, sample: int
) -> None:
    """Whatever the others are, taking one away never leaves a share that is small enough."""
    if not too_many(Cause.REJECTED, threshold, sample, relays, domains):
        return
    attempts = sum(one.attempts for one in relays)
    rejected = sum(one.rejected for one in relays)
    assert attempts >= sample
    assert rejected > threshold * attempts
    for one in [*domains, *(relays if len(relays) > 1 else [])]:
        assert rejected - one.rejected > threshold * (attempts - one.attempts)


@given(st.integers(100, 2_000), st.integers(2, 6), st.floats(0.01, 0.9))
def test_one_bad_relay_among_good_ones_never_matters(
    attempts: int, relays: int, threshold: float
) -> None:
    good = [Tally(attempts, int(attempts * threshold)) for _ in range(relays - 1)]
    assert not too_many(Cause.REJECTED, threshold, 1, [*good, Tally(attempts, attempts)], [])


@given(st.integers(3, 8), st.integers(100, 1_000), st.floats(0.05, 0.6))
def test_an_even_share_above_the_threshold_pauses(
    domains: int, attempts: int, threshold: float
) -> None:
    rejected = int(attempts * threshold) + 2
    assume(rejected <= attempts)
    each = [Tally(attempts, rejected) for _ in range(domains)]
    total = Tally(attempts * domains, rejected * domains)
    assert too_many(Cause.REJECTED, threshold, attempts, [total], each)
