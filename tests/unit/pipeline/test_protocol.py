from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaignd.model import Fact, Outcome, Retry, RetryPolicy, Taken, UnknownPolicy, Verdict
from campaignd.pipeline.protocol import (
    LEAST_DELAY,
    LONG,
    WINDOW,
    Holder,
    Release,
    Resolve,
    Resume,
    Retries,
    Wait,
    Window,
    delay,
    settle,
)

RESOLVE_AT = 100.0
WALL = 1_000.0


def taken(
    size: int = 10,
    *,
    claimed: int = 0,
    done: int = 0,
    ambiguous: int = 0,
    facts: frozenset[int] = frozenset(),
    stray_retries: bool = False,
    next_retry: float | None = None,
) -> Taken:
    return Taken(size, 7, claimed, done, ambiguous, facts, stray_retries, next_retry)


def fact(seq: int, *, attempt: int = 1, retry: Retry | None = None) -> Fact:
    outcome = Outcome.ACCEPTED if retry is None else Outcome.DEFERRED
    return Fact(seq, attempt, outcome, False, 250, "", "", "", WALL, retry)


class TestHolder:
    def test_claims_windows_to_the_end_and_releases(self) -> None:
        holder = Holder(taken(10), resolve_at=RESOLVE_AT)
        assert holder.next_step(0, WALL, 6) == Window(0, 6)
        holder.claimed_to(6)
        holder.issued(6)
        assert holder.next_step(0, WALL, 6) == Window(6, 4)
        holder.claimed_to(10)
        holder.issued(4)
        assert holder.next_step(0, WALL) == Wait(LONG)
        assert holder.advance(range(1, 11)) == 10
        assert not isinstance(holder.next_step(0, WALL), Release)
        holder.recorded([fact(seq) for seq in range(1, 11)])
        assert holder.idle
        assert holder.next_step(0, WALL) == Release()

    def test_a_window_is_bounded(self) -> None:
        holder = Holder(taken(10_000), resolve_at=RESOLVE_AT)
        assert holder.next_step(0, WALL) == Window(0, WINDOW)

    def test_done_stops_at_a_gap(self) -> None:
        holder = Holder(taken(10, claimed=10), resolve_at=RESOLVE_AT)
        assert holder.advance([2, 3]) == 0
        assert holder.advance([1]) == 3
        assert holder.advance([1, 2, 5]) == 3
        assert holder.advance([4]) == 5

    def test_facts_known_at_the_takeover_count(self) -> None:
        holder = Holder(taken(10, claimed=5, done=1, facts=frozenset({2, 4})), resolve_at=0)
        assert holder.done == 2
        assert holder.next_step(0, WALL) == Resume(2)
        assert holder.resumed(9) == [3, 5]

    def test_resumes_what_a_clean_stop_left_before_it_claims(self) -> None:
        holder = Holder(taken(10, claimed=4, done=1), resolve_at=RESOLVE_AT)
        assert holder.next_step(0, WALL, 2) == Resume(2)
        assert holder.resumed(2) == [2, 3]
        assert holder.next_step(0, WALL, 2) == Resume(1)
        assert holder.resumed(2) == [4]
        assert holder.next_step(0, WALL, 2) == Window(4, 2)

    def test_waits_one_ttl_before_it_settles_what_is_ambiguous(self) -> None:
        holder = Holder(taken(4, claimed=4, done=1, ambiguous=4), resolve_at=RESOLVE_AT)
        assert holder.unresolved
        assert holder.next_step(RESOLVE_AT - 5, WALL) == Wait(5)
        assert holder.next_step(RESOLVE_AT, WALL) == Resolve()
        holder.resolved([2, 3, 4], WALL + 1)
        assert not holder.unresolved
        assert holder.done == 4
        assert holder.next_step(RESOLVE_AT, WALL) == Release()
        assert holder.next_step(RESOLVE_AT, WALL + 1) == Retries(WINDOW)

    def test_goes_on_above_the_ambiguous_at_once(self) -> None:
        holder = Holder(taken(10, claimed=4, ambiguous=4), resolve_at=RESOLVE_AT)
        assert holder.next_step(0, WALL) == Window(4, 6)
        between = Holder(taken(10, claimed=6, ambiguous=4), resolve_at=RESOLVE_AT)
        assert between.next_step(0, WALL) == Resume(2)
        assert between.resumed(2) == [5, 6]

    def test_stray_retries_have_to_be_settled_too(self) -> None:
        holder = Holder(taken(2, claimed=2, done=2, stray_retries=True), resolve_at=RESOLVE_AT)
        assert not holder.idle
        assert holder.next_step(0, WALL) == Wait(LONG)
        assert holder.next_step(RESOLVE_AT, WALL) == Resolve()
        holder.resolved([], None)
        assert holder.next_step(RESOLVE_AT, WALL) == Release()

    def test_due_retries_come_first(self) -> None:
        holder = Holder(taken(10, claimed=4, next_retry=WALL), resolve_at=RESOLVE_AT)
        assert holder.next_step(0, WALL - 0.1) == Resume(4)
        assert holder.next_step(0, WALL, 8) == Retries(8)
        holder.retries_claimed(None)
        assert holder.next_step(0, WALL) == Resume(4)

    def test_the_earliest_retry_counts(self) -> None:
        holder = Holder(taken(2, claimed=2, done=2), resolve_at=RESOLVE_AT)
        holder.issued(3)
        holder.recorded(
            [fact(1, retry=Retry(WALL + 9, False)), fact(2, retry=Retry(WALL + 4, False))]
        )
        assert holder.next_step(0, WALL) == Wait(4)
        assert holder.next_step(0, WALL + 4) == Retries(WINDOW)

    def test_a_stop_starts_nothing_and_waits_for_what_is_in_flight(self) -> None:
        holder = Holder(taken(10, next_retry=WALL), resolve_at=0)
        holder.claimed_to(3)
        holder.issued(3)
        holder.stop()
        assert holder.next_step(0, WALL) == Wait(LONG)
        holder.returned(2)
        holder.recorded([fact(1)])
        assert holder.next_step(0, WALL) == Release()

    def test_what_came_back_unattempted_is_work(self) -> None:
        """A shard whose last window came back is not idle, or it would wait for its retries."""
        holder = Holder(taken(3), resolve_at=0)
        holder.claimed_to(3)
        holder.issued(3)
        holder.stop()
        holder.advance([1])
        holder.recorded([fact(1, retry=Retry(WALL + 300, False))])
        holder.returned(2)
        assert holder.next_step(0, WALL) == Release()
        assert not holder.idle

    def test_a_fenced_holder_starts_nothing(self) -> None:
        holder = Holder(taken(10, claimed=4, ambiguous=4), resolve_at=0)
        holder.issued(1)
        holder.fence()
        assert holder.next_step(5, WALL) == Wait(LONG)
        holder.recorded([fact(5)])
        assert holder.next_step(5, WALL) == Release()

    @given(
        st.integers(1, 30),
        st.data(),
    )
    def test_done_is_always_the_largest_contiguous_mark(
        self, size: int, data: st.DataObject
    ) -> None:
        known = data.draw(st.frozensets(st.integers(1, size)))
        done = data.draw(st.integers(0, size))
        holder = Holder(
            taken(size, claimed=size, done=done, facts=frozenset(s for s in known if s > done)),
            resolve_at=0,
        )
        seen = set(range(1, done + 1)) | known
        for batch in data.draw(st.lists(st.lists(st.integers(1, size), max_size=5), max_size=8)):
            seen.update(batch)
            expected = next(s - 1 for s in range(1, size + 2) if s not in seen)
            assert holder.advance(batch) == expected

    @given(
        st.integers(1, 40),
        st.lists(st.integers(1, 9), max_size=60),
    )
    def test_every_recipient_is_started_exactly_once(self, size: int, grants: list[int]) -> None:
        holder = Holder(taken(size, claimed=size // 2, done=size // 4), resolve_at=0)
        started: list[int] = []
        for limit in [*grants, *[size] * 3]:
            step = holder.next_step(0, WALL, limit)
            if isinstance(step, Window):
                upto = step.above + step.limit
                holder.claimed_to(upto)
                new = list(range(step.above + 1, upto + 1))
            elif isinstance(step, Resume):
                new = holder.resumed(step.limit)
            else:
                break
            holder.issued(len(new))
            started += new
        assert started == list(range(size // 4 + 1, size + 1))


POLICY = RetryPolicy(first=100, factor=2, longest=1_000, expire=10_000)


def settled(outcome: Outcome, *, attempt: int = 1, marked: bool = False, at: float = WALL,
            policy: UnknownPolicy = UnknownPolicy.RESEND) -> Fact:  # fmt: skip
    verdict = Verdict(outcome, 451, "4.0.0", "text", "relay")
    return settle(7, attempt, marked, verdict, at=at, policy=policy, retry=POLICY,
                  started_at=WALL, jitter=0.5)  # fmt: skip


class TestSettle:
    @pytest.mark.parametrize("outcome", [Outcome.ACCEPTED, Outcome.REJECTED, Outcome.SUPPRESSED])
    def test_final_outcomes_stay(self, outcome: Outcome) -> None:
        fact = settled(outcome)
        assert (fact.outcome, fact.retry, fact.state) == (outcome, None, outcome)
        assert fact[:2] == (7, 1)
        assert (fact.code, fact.enhanced, fact.text, fact.relay) == (451, "4.0.0", "text", "relay")

    def test_a_deferral_is_retried(self) -> None:
        fact = settled(Outcome.DEFERRED)
        assert fact.retry == Retry(WALL + 100, False)
        assert fact.state is Outcome.DEFERRED

    def test_a_mark_stays_for_all_later_attempts(self) -> None:
        fact = settled(Outcome.DEFERRED, attempt=3, marked=True)
        assert fact.maybe_duplicate
        assert fact.retry == Retry(WALL + 400, True)

    def test_unknown_is_resent_with_a_mark(self) -> None:
        fact = settled(Outcome.UNKNOWN)
        assert (fact.outcome, fact.maybe_duplicate) == (Outcome.UNKNOWN, False)
        assert fact.retry == Retry(WALL + 100, True)
        assert fact.state is Outcome.DEFERRED

    def test_unknown_is_kept(self) -> None:
        fact = settled(Outcome.UNKNOWN, policy=UnknownPolicy.KEEP)
        assert (fact.retry, fact.state) == (None, Outcome.UNKNOWN)

    def test_keep_retries_a_deferral(self) -> None:
        assert settled(Outcome.DEFERRED, policy=UnknownPolicy.KEEP).retry is not None

    @pytest.mark.parametrize("outcome", [Outcome.DEFERRED, Outcome.UNKNOWN])
    def test_retries_are_used_up(self, outcome: Outcome) -> None:
        last = WALL + POLICY.expire - 100
        assert settled(outcome, at=last).retry is not None
        fact = settled(outcome, at=last + 1)
        assert (fact.outcome, fact.retry) == (Outcome.EXPIRED, None)


class TestDelay:
    def test_doubles_up_to_the_longest(self) -> None:
        assert [delay(attempt, POLICY, 0.5) for attempt in range(1, 7)] == [
            100, 200, 400, 800, 1_000, 1_000,
        ]  # fmt: skip

    @given(
        st.integers(1, 60_000),
        st.builds(
            RetryPolicy,
            st.floats(0, 86_400),
            st.floats(1, 1_000),
            st.floats(0, 86_400),
        ),
        st.floats(0, 1, exclude_max=True),
    )
    def test_is_within_its_bounds(self, attempt: int, retry: RetryPolicy, jitter: float) -> None:
        seconds = delay(attempt, retry, jitter)
        assert LEAST_DELAY <= seconds <= max(LEAST_DELAY, retry.longest * 1.125)
