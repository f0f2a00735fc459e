"""Bugs to be found: each is planted in the code that decides, or in a step of the store.

A simulation that finds nothing proves nothing until it has found these.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any
from unittest import mock

from campaignd.lease.keeper import MARGIN, Leases, Shard
from campaignd.model import Fact, Job, Outcome, Retry, Taken, Verdict
from campaignd.pipeline import issue, protocol, record, run, scheduler
from campaignd.store.ledger import Batch, Recipient, Resolution
from campaignd.store.shards import ClaimedRetries
from tests.simulation import host, lane
from tests.simulation import store as model
from tests.simulation.store import Store


@dataclass(frozen=True)
class Mutation:
    """`found_by` is how the violation begins that has to be seen, or several such beginnings."""

    name: str
    found_by: str | tuple[str, ...]
    patch: Callable[[], AbstractContextManager[Any]] = nullcontext
    make_store: Callable[[], Store] = Store


class _NoFenceOnClaim(Store):
    def claim(self, campaign: int, shard: int, epoch: int, upto: int) -> bool:
        row = self.shards[campaign, shard]
        return super().claim(campaign, shard, row.epoch, upto)


class _ClaimMovesBack(Store):
    def claim(self, campaign: int, shard: int, epoch: int, upto: int) -> bool:
        row = self.shards[campaign, shard]
        if row.epoch != epoch:
            return False
        row.claimed = upto
        return True


class _RetryNotClaimed(Store):
    def claim_retries(
        self, campaign: int, shard: int, epoch: int, now: float, limit: int
    ) -> ClaimedRetries | None:
        claimed = super().claim_retries(campaign, shard, epoch, now, limit)
        if claimed is not None:
            for seq, _, _ in claimed.attempts:
                self.shards[campaign, shard].retries[seq].claimed_epoch = 0
        return claimed


class _ResendWithoutMark(Store):
    def second_attempt(self, now: float) -> Retry:
        return Retry(now, False)


class _FinishWithoutSum(Store):
    @staticmethod
    def _finish(row: model.Shard) -> bool:
        row.finished = row.finished or row.claimed == row.size
        return row.finished


class _TakeoverStaysClean(Store):
    def take(self, campaign: int, shard: int, host: str) -> Taken | None:
        taken = super().take(campaign, shard, host)
        if taken is not None:
            self.shards[campaign, shard].clean = True
        return taken


class _SettledStaysAmbiguous(Store):
    def take(self, campaign: int, shard: int, host: str) -> Taken | None:
        row = self.shards[campaign, shard]
        claimed = row.claimed if not row.clean else row.ambiguous
        taken = super().take(campaign, shard, host)
        if taken is not None:
            row.ambiguous = claimed
            taken = taken._replace(ambiguous=claimed)
        return taken


class _OldSnapshot(Store):
    """The takeover reads the ledger as it was before the last facts."""

    def take(self, campaign: int, shard: int, host: str) -> Taken | None:
        taken = super().take(campaign, shard, host)
        return taken and taken._replace(facts=frozenset(sorted(taken.facts)[:-1]))


class _LateFactsRefused(Store):
    def record_exactly(self, host: str, batch: Batch) -> bool:
        row = self.shards[batch.campaign, batch.shard]
        return row.epoch == batch.epoch and super().record_exactly(host, batch)


class _SettlesWithoutUnknown(Store):
    """Under `keep`, what is ambiguous is passed over."""

    def resolve(self, *args: Any, resend: bool, **kwargs: Any) -> Resolution | None:
        return super().resolve(*args, resend=True, **kwargs)


def _retry_comes_back() -> AbstractContextManager[Any]:
    def follow_up(
        facts: Sequence[Fact], latest: object, *, finished: bool
    ) -> tuple[list[Fact], list[int]]:
        return list(facts), [fact.seq for fact in facts if fact.retry is None]

    return mock.patch.object(model, "follow_up", follow_up)


def _fact_before_reply() -> AbstractContextManager[Any]:
    original = lane.Lane._final_dot

    def final_dot(self: lane.Lane, job: Job) -> None:
        original(self, job)
        self._after.pop(job)
        self._report(job, Verdict(Outcome.ACCEPTED, 0, "", "", lane.RELAY))

    return mock.patch.object(lane.Lane, "_final_dot", final_dot)


def _done_past_gap() -> AbstractContextManager[Any]:
    def advance(self: protocol.Holder, seqs: Iterable[int]) -> int:
        self.done = max([self.done, *seqs])
        return self.done

    return mock.patch.object(protocol.Holder, "advance", advance)


def _no_wait_on_takeover() -> AbstractContextManager[Any]:
    original = protocol.Holder.__init__

    def init(self: protocol.Holder, taken: Taken, *, resolve_at: float) -> None:
        original(self, taken, resolve_at=0.0)

    return mock.patch.object(protocol.Holder, "__init__", init)


def _deadline_after_request() -> AbstractContextManager[Any]:
    acquire, renew = Leases.acquire, Leases.renew

    def late(self: Leases) -> float:
        return self._clock() + self.ttl * (1 - MARGIN)

    async def late_acquire(self: Leases, shard: Shard) -> float | None:
        return late(self) if await acquire(self, shard) is not None else None

    async def late_renew(self: Leases, shards: Sequence[Shard]) -> dict[Shard, float | None]:
        held = await renew(self, shards)
        return {shard: late(self) if held[shard] is not None else None for shard in held}

    return mock.patch.multiple(Leases, acquire=late_acquire, renew=late_renew)


def _sends_after_deadline() -> AbstractContextManager[Any]:
    def right_ended(self: run.ShardRun) -> None:
        self.stop("lease ended")

    return mock.patch.object(run.ShardRun, "right_ended", right_ended)


def _never_looks_again() -> AbstractContextManager[Any]:
    def outdated(self: run.ShardRun, job: Job) -> None:
        job.read_at = math.inf
        self._stages.queue.put_back(job)

    return mock.patch.object(run.ShardRun, "outdated", outdated)


def _release_with_jobs_in_flight() -> AbstractContextManager[Any]:
    original = protocol.Holder.next_step

    def next_step(self: protocol.Holder, now: float, wall: float, limit: int = 0) -> protocol.Step:
        if self.stopping:
            return protocol.Release()
        return original(self, now, wall, limit)

    return mock.patch.object(protocol.Holder, "next_step", next_step)


def _lost_answers_are_forgotten() -> AbstractContextManager[Any]:
    """A fact whose commit may have happened is written as if it had not."""

    class Recorder(record.Recorder):
        @property
        def _unsure(self) -> bool:
            return False

        @_unsure.setter
        def _unsure(self, value: bool) -> None:
            pass

    return mock.patch.object(host, "Recorder", Recorder)


def _session_loss_is_deferral() -> AbstractContextManager[Any]:
    """A reply lost after the final dot counts as a temporary failure (R8)."""
    original = lane._verdict

    def verdict(outcome: Outcome, relay: str = "") -> Verdict:
        return original(Outcome.DEFERRED if outcome is Outcome.UNKNOWN else outcome, relay)

    return mock.patch.object(lane, "_verdict", verdict)


def _unattempted_wait_for_retries() -> AbstractContextManager[Any]:
    def idle(self: protocol.Holder) -> bool:
        return self.claimed == self.size and not self._resume and not self.unresolved

    return mock.patch.object(protocol.Holder, "idle", property(idle))


def _drain_forgets_the_takeover() -> AbstractContextManager[Any]:
    def rest(self: scheduler.Scheduler) -> None:
        if not self.runs:
            self._idle.set()

    return mock.patch.object(scheduler.Scheduler, "_rest", rest)


def _one_owner_for_all_leases() -> AbstractContextManager[Any]:
    """A release that comes late ends the lease that the same host has got since."""
    acquire = Leases.acquire

    async def acquire_again(self: Leases, shard: Shard) -> float | None:
        self._count = 0
        return await acquire(self, shard)

    return mock.patch.object(Leases, "acquire", acquire_again)


def _reads_between_first_and_last() -> AbstractContextManager[Any]:
    """Retries come in the order of their time; the window between the first and the last of
    them need not have the others."""
    original = issue.Issuer._read

    async def read(self: issue.Issuer, wanted: Iterable[int]) -> tuple[dict[int, Recipient], float]:
        seqs = list(wanted)
        low, high = seqs[0], seqs[-1]
        found, read_at = await original(self, seqs)
        if high - low == len(seqs) - 1:
            found = {seq: row for seq, row in found.items() if low <= seq <= high}
        return found, read_at

    return mock.patch.object(issue.Issuer, "_read", read)


_UNMARKED = ("a second attempt", "duplicates are marked")
_TWICE = "an attempt is made once"

MUTATIONS = (
    # Claims and fences.
    Mutation("no fence on the claim", "R2", make_store=_NoFenceOnClaim),
    Mutation("a late claim moves the mark back", "R2 the claim", make_store=_ClaimMovesBack),
    Mutation("a retry is not claimed", "R6", make_store=_RetryNotClaimed),
    Mutation("a takeover leaves the shard clean", _TWICE, make_store=_TakeoverStaysClean),
    Mutation("a takeover reads an old snapshot", (_TWICE, "R1"), make_store=_OldSnapshot),
    # Leases.
    Mutation("the deadline is taken after the request", "R3", _deadline_after_request),
    Mutation("a lease is renewed after its end", ("R3", "R5", "R1"), _sends_after_deadline),
    Mutation("a late release ends a newer lease", "R3", _one_owner_for_all_leases),
    Mutation("no wait on a takeover", "R5 a takeover waits", _no_wait_on_takeover),
    # Facts.
    Mutation("a fact is recorded before the reply", "R4 a fact", _fact_before_reply),
    Mutation("done is moved past a gap", "R4 done", _done_past_gap),
    Mutation("late facts are refused", "R4 a real result", make_store=_LateFactsRefused),
    Mutation(
        "a commit without an answer is repeated", ("R1", "crash"), _lost_answers_are_forgotten
    ),
    Mutation("a fact written again brings its retry back", (_TWICE, "R1"), _retry_comes_back),
    # Duplicates.
    Mutation("a resend without a mark", _UNMARKED, make_store=_ResendWithoutMark),
    Mutation("a lost reply counts as a deferral", (*_UNMARKED, "keep"), _session_loss_is_deferral),
    Mutation("keep resends", "keep", make_store=_SettlesWithoutUnknown),
    # Stops.
    Mutation("a release with jobs in flight", "R7 a release", _release_with_jobs_in_flight),
    Mutation("a drain forgets a takeover", "R7 a clean stop", _drain_forgets_the_takeover),
    Mutation("the unattempted wait for retries", "R7 what", _unattempted_wait_for_retries),
    # Suppressions.
    Mutation("waiting jobs are not looked at again", "a suppression", _never_looks_again),
    # The end.
    Mutation("a shard finishes without the sum", "R1", make_store=_FinishWithoutSum),
    Mutation("what is settled stays ambiguous", "it never ends", make_store=_SettledStaysAmbiguous),
    Mutation("a read misses some retries", "crash: RuntimeError", _reads_between_first_and_last),
)
