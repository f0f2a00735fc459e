"""From claimed attempts to jobs in the queue: reads their recipients, composes, and looks again.

Whoever is suppressed when a recipient is read gets nothing. What then waits, for a limit or in the
queue, is read anew in time, so that a suppression is obeyed when it is 5 s old. How old a reading
is depends on no wall clock. Never makes an attempt that is not claimed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from campaignd import events, metrics
from campaignd.errors import RowError, StoreOutage, UsageError
from campaignd.model import Attempt, Job, Outcome, SuppressionReason, Verdict
from campaignd.pipeline.queue import FRESH_SECONDS
from campaignd.store import ledger
from campaignd.store.ledger import Recipient

if TYPE_CHECKING:
    from campaignd.pipeline.run import ShardRun, Stages

CHUNK: Final = 16
"""Recipients composed before the loop's other work gets its turn: under 1 ms."""

REREAD_SECONDS: Final = FRESH_SECONDS / 2
"""After so long the rest of a window, which a limit holds up, is read anew before it is composed:
that leaves as long again for the queue. By what an answer takes longer, a suppression may be obeyed
later."""


class Issuer:
    """Of one shard run, which it is told at each call: kept, the two would be a cycle of 18 KB that
    waits for the collector, 1.8 MB a million messages."""

    def __init__(self, stages: Stages) -> None:
        self._stages = stages
        self._outdated: list[Job] = []
        self._look = asyncio.Event()

    async def issue(self, run: ShardRun, attempts: Sequence[Attempt]) -> None:
        """Reads and composes recipients, and queues them for the lane, or for those who sign
        before it. All are counted as issued already."""
        stages = self._stages
        right, shard = run.right, run.shard
        limit, report = stages.limit, stages.recorder.report
        queue, signing = stages.queue, stages.signing
        compose = run.campaign.compiled.job
        recipients, read_at = await self._read(run, (attempt.seq for attempt in attempts))
        answered_at = time.monotonic()
        for index, (seq, number, marked) in enumerate(attempts):
            if limit.limited:
                self._wake()
                while not (await limit.acquire() or run.stopped):
                    pass
                if time.monotonic() - answered_at > REREAD_SECONDS:
                    left = attempts[index:]
                    recipients, read_at = await self._read(run, (attempt.seq for attempt in left))
                    answered_at = time.monotonic()
            elif index % CHUNK == 0:
                self._wake()
                await asyncio.sleep(0)
            if run.stopped:
                run.unattempted(len(attempts) - index)
                break
            _, address, values, suppressed = recipients[seq]
            if suppressed:
                verdict = _suppressed(suppressed)
            else:
                try:
                    job = compose(run, right, shard, seq, number, marked, address, values)
                    job.read_at = read_at
                    (queue if job.sign is None else signing).put(job)
                    continue
                except RowError as error:
                    verdict = Verdict(Outcome.REJECTED, 0, "", str(error)[:500], "")
            report(Job(run, right, seq, number, marked, b"", b"", b""), verdict)
        self._wake()

    def outdated(self, job: Job) -> None:
        """Takes a job that the queue does not give out any more as it is."""
        self._outdated.append(job)
        self._look.set()

    async def look_again(self, run: ShardRun) -> None:
        """Reads the recipients of outdated jobs and puts back those that may be attempted, until
        cancelled. However long that took, they have some time from the answer on: else nobody
        would ever be attempted while MySQL is slow."""
        stages = self._stages
        while True:
            await self._look.wait()
            self._look.clear()
            jobs, self._outdated = self._outdated, []
            recipients, read_at = await self._read(run, (job.seq for job in jobs))
            read_at = max(read_at, time.monotonic() - REREAD_SECONDS)
            for job in reversed(jobs):
                if run.stopped:
                    run.unattempted(1)
                elif suppressed := recipients[job.seq][3]:
                    stages.recorder.report(job, _suppressed(suppressed))
                else:
                    job.read_at = read_at
                    stages.queue.put_back(job)
            stages.channel.wake()

    async def _read(
        self, run: ShardRun, wanted: Iterable[int]
    ) -> tuple[dict[int, Recipient], float]:
        """Recipients by their numbers, and when (monotonic) they were as they are here. What is
        claimed has to be read, so this waits until MySQL answers or the run stops."""
        db = self._stages.db
        key = (run.campaign.account, run.campaign_id, run.shard)
        seqs = sorted(wanted)
        first, last = seqs[0], seqs[-1]
        while not run.stopped:
            read_at = time.monotonic()
            try:
                if last - first == len(seqs) - 1:
                    rows = await ledger.window(db, *key, first - 1, last)
                else:
                    rows = await ledger.picked(db, *key, seqs)
            except (StoreOutage, UsageError) as outage:
                events.store_outage("read", outage)
                await run.pause_for_outage()
            else:
                return {row[0]: row for row in rows}, read_at
        return {}, 0.0

    def _wake(self) -> None:
        self._stages.signing.wake()
        self._stages.channel.wake()


def _suppressed(reason: int) -> Verdict:
    metrics.suppressed[reason].inc()
    return _SUPPRESSED[reason]


_SUPPRESSED: Final = {
    reason.value: Verdict(
        Outcome.SUPPRESSED, 0, "", f"the address is suppressed: {reason.label}", ""
    )
    for reason in SuppressionReason
}
