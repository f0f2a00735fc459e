"""The decisions of the delivery protocol for one shard that this host holds.

Pure: no I/O, no clock, no randomness that is not passed in. The caller does what `next_step`
says, and tells what happened. The rules R2 to R7 that the names refer to are in docs/design.md.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from campaignd.model import Fact, Outcome, Retry, RetryPolicy, Taken, UnknownPolicy, Verdict

WINDOW: Final = 256
"""Most recipients claimed at once. A claim is one commit and a read, at 256 together 1.4 us of
our time a message; what a dead host leaves ambiguous is bounded by the turns, not by this."""

LEAST_DELAY: Final = 1.0
"""Seconds between two attempts, however small the campaign's settings."""

LONG: Final = 60.0
"""Seconds to wait when nothing but a report can change anything."""


class Resolve(NamedTuple):
    """Settle the ambiguous recipients by the campaign's policy."""


class Retries(NamedTuple):
    """Claim due retries, at most `limit`, and attempt them."""

    limit: int


class Resume(NamedTuple):
    """Attempt `limit` claimed recipients that a clean stop left unattempted (R7)."""

    limit: int


class Window(NamedTuple):
    """Claim the next `limit` recipients above `above`, then attempt them."""

    above: int
    limit: int


class Wait(NamedTuple):
    """Nothing to start for `seconds`, unless something is reported before."""

    seconds: float


class Release(NamedTuple):
    """Give the shard back cleanly: nothing is in flight and all facts are recorded."""


Step = Resolve | Retries | Resume | Window | Wait | Release


class Holder:
    """What one host knows of a shard that it holds, and what it does next.

    The caller's duties: `issued` when recipients are claimed and will go to a lane, exactly one of
    `recorded` or `returned` for each of them later; `stop` when the right ends, the campaign
    pauses or the host drains; `fence` when a write under the epoch matched no row.
    """

    def __init__(self, taken: Taken, *, resolve_at: float) -> None:
        """`resolve_at`: monotonic time, one TTL after the takeover, before which a predecessor's
        late facts may still arrive (R5)."""
        self.epoch = taken.epoch
        self.size = taken.size
        self.claimed = taken.claimed
        self.done = taken.done
        self.ambiguous = taken.ambiguous if taken.ambiguous > taken.done else 0
        self.stopping = False
        self.fenced = False
        self.in_flight = 0
        self._stray_retries = taken.stray_retries
        self._next_retry = taken.next_retry
        self._resolve_at = resolve_at
        self._beyond: set[int] = set(taken.facts)
        self._resume = [
            seq
            for seq in range(max(self.done, self.ambiguous) + 1, self.claimed + 1)
            if seq not in self._beyond
        ]
        self.advance(())

    @property
    def unresolved(self) -> bool:
        """Whether ambiguous recipients wait for their resolution."""
        return self.ambiguous > 0 or self._stray_retries

    @property
    def idle(self) -> bool:
        """Whether nothing but retries is left to start."""
        return self.done == self.size and not self.unresolved

    def next_step(self, now: float, wall: float, limit: int = WINDOW) -> Step:
        """What to do next. `now` is monotonic, `wall` the wall clock, both in seconds; `limit`
        bounds how many recipients to start."""
        if self.stopping or self.fenced:
            return Wait(LONG) if self.in_flight else Release()
        if self.unresolved and now >= self._resolve_at:
            return Resolve()
        if self._next_retry is not None and wall >= self._next_retry:
            return Retries(limit)
        if self._resume:
            return Resume(min(limit, len(self._resume)))
        if self.claimed < self.size:
            return Window(self.claimed, min(limit, self.size - self.claimed))
        if not self.in_flight and not self.unresolved:
            return Release()
        until_retry = LONG if self._next_retry is None else self._next_retry - wall
        until_resolve = self._resolve_at - now if self.unresolved else LONG
        return Wait(min(until_retry, until_resolve, LONG))

    def claimed_to(self, upto: int) -> None:
        """The claim of a window is committed (R2)."""
        self.claimed = upto

    def resumed(self, count: int) -> list[int]:
        """Takes the first `count` recipients from those that a clean stop left unattempted."""
        taken, self._resume = self._resume[:count], self._resume[count:]
        return taken

    def retries_claimed(self, next_retry: float | None) -> None:
        """Due retries were claimed; the earliest left is due at `next_retry` (wall clock)."""
        self._next_retry = next_retry

    def issued(self, count: int) -> None:
        """`count` claimed recipients are on their way to a lane."""
        self.in_flight += count

    def returned(self, count: int) -> None:
        """`count` recipients came back unattempted. Only while stopping."""
        self.in_flight -= count

    def recorded(self, facts: Sequence[Fact]) -> None:
        """Facts of issued recipients are committed."""
        self.in_flight -= len(facts)
        for fact in facts:
            if fact.retry is not None and fact.retry.due_at < (self._next_retry or math.inf):
                self._next_retry = fact.retry.due_at

    def advance(self, seqs: Iterable[int]) -> int:
        """Takes first attempts' numbers into the contiguous `done` mark and returns the mark.

        Call it when their facts go into the transaction that writes the mark, never before.
        """
        beyond = self._beyond
        done = self.done
        beyond.update(seq for seq in seqs if seq > done)
        while done + 1 in beyond:
            done += 1
            beyond.remove(done)
        self.done = done
        return done

    def resolved(self, seqs: Iterable[int], next_retry: float | None) -> None:
        """The ambiguous first attempts `seqs` now have facts (`unknown`, or one that came late),
        and stray retries are settled. `next_retry` as in `retries_claimed`."""
        self.ambiguous = 0
        self._stray_retries = False
        self._next_retry = next_retry
        self.advance(seqs)

    def stop(self) -> None:
        """Start nothing more (R7)."""
        self.stopping = True

    def fence(self) -> None:
        """Another host holds the shard: start and write nothing more under the epoch (R2)."""
        self.fenced = True


def settle(
    seq: int,
    attempt: int,
    maybe_duplicate: bool,
    verdict: Verdict,
    *,
    at: float,
    policy: UnknownPolicy,
    retry: RetryPolicy,
    started_at: float,
    jitter: float,
) -> Fact:
    """The fact that a verdict becomes, with the retry that it calls for.

    `at` and `started_at` are wall clock seconds; `jitter` is uniform in [0, 1).
    """
    outcome = verdict.outcome
    following: Retry | None = None
    lost = outcome is Outcome.UNKNOWN
    if outcome is Outcome.DEFERRED or (lost and policy is UnknownPolicy.RESEND):
        due_at = at + delay(attempt, retry, jitter)
        if due_at > started_at + retry.expire:
            outcome = Outcome.EXPIRED
        else:
            following = Retry(due_at, maybe_duplicate or lost)
    return Fact(
        seq,
        attempt,
        outcome,
        maybe_duplicate,
        verdict.code,
        verdict.enhanced,
        verdict.text,
        verdict.relay,
        at,
        following,
    )


def delay(attempt: int, retry: RetryPolicy, jitter: float) -> float:
    """Seconds from attempt number `attempt` to the next: exponential, with up to a quarter of
    jitter so that what failed together does not come back together."""
    plain = retry.first * retry.factor ** min(attempt - 1, 64)
    return max(LEAST_DELAY, min(plain, retry.longest) * (0.875 + 0.25 * jitter))
