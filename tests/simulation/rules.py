"""The rules R1 to R7, checked from outside after every change and at the end of a schedule.

What the theory cannot exclude is stated where it is allowed for; nothing else is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from campaignd.model import Job, Outcome
from campaignd.store.ledger import Batch
from tests.simulation.clock import Process, World
from tests.simulation.store import Key, Shard, Store

Recipient = tuple[int, int, int]

SUPPRESSED_SECONDS = 5.0
"""How old a suppression may be when its recipient is still attempted; older than that only if
MySQL, asked once more, answered just now."""

JUST_NOW_SECONDS = 2.2

RATE_ERROR = 0.05
"""By how much simulated clocks may run fast or slow; half of the margin of a lease."""

FINAL = frozenset(Outcome) - {Outcome.DEFERRED}


class Violation(AssertionError):
    """A rule does not hold. The text begins with the rule's name."""


@dataclass(slots=True)
class Dot:
    """A final dot that was written."""

    key: Key
    seq: int
    attempt: int
    marked: bool
    epoch: int
    process: Process
    at: float
    judged: Outcome | None = None
    """What the receiver made of it; None until it has arrived."""
    replied: bool = False
    """Whether the sender got to know."""


class Rules:
    """Sees every final dot and every transaction. Raises Violation."""

    def __init__(self, world: World, store: Store, ttl: float) -> None:
        self._world = world
        self._store = store
        self._ttl = ttl
        self.policies: dict[int, str] = {}
        self.suppressed_at: dict[Recipient, float] = {}
        self._told_at: dict[Recipient, float] = {}
        self.lease_owner: Callable[[Key], str | None] = lambda key: None
        self.leases_lost: Callable[[], tuple[int, float]] = lambda: (0, -1.0)
        """How often Redis lost everything, and when last."""
        self.dots: dict[Recipient, list[Dot]] = {}
        self._claimed: set[tuple[Key, int, int, int]] = set()
        """Retries: shard, recipient, attempt, epoch."""
        self._taken_at: dict[Key, float] = {}
        self._settled: dict[Key, int] = {}
        """The epoch that settled a predecessor's claims last."""
        self._taking: Counter[Process] = Counter()
        self._known_taken: set[tuple[Process, Key, int]] = set()
        self._released: set[tuple[Key, int]] = set()
        self.trace: list[str] | None = None
        self.duplicates = 0
        self.fenced = 0

    def note(self, who: object, what: str) -> None:
        """For the trace of a replay."""
        if self.trace is not None:
            self.trace.append(f"{self._world.now:9.3f} {who!s:8} {what}")

    # Attempts.

    def told(self, key: Key, seqs: Sequence[int]) -> None:
        """A host gets the recipients that it asked for."""
        for seq in seqs:
            self._told_at[*key, seq] = self._world.now

    def attempted(self, job: Job) -> None:
        """A session takes a job."""
        run: Any = job.owner
        recipient = (run.campaign_id, run.shard, job.seq)
        now = self._world.now
        age = now - self.suppressed_at.get(recipient, now)
        told = now - self._told_at[recipient]
        obeyed = age <= SUPPRESSED_SECONDS or told <= JUST_NOW_SECONDS
        self._demand(obeyed, "a suppression is obeyed", (recipient, age, told))

    def final_dot(self, process: Process, job: Job) -> Dot:
        """A final dot is written at this moment."""
        run: Any = job.owner
        key = (run.campaign_id, run.shard)
        shard = self._store.shards[key]
        dot = Dot(key, job.seq, job.attempt, job.maybe_duplicate, run.epoch, process,
                  self._world.now)  # fmt: skip
        self.note(process, f"dot {key} seq {job.seq} attempt {job.attempt} epoch {run.epoch}"
                  + (" marked" if job.maybe_duplicate else ""))  # fmt: skip
        if job.attempt == 1:
            self._demand(job.seq <= shard.claimed, "R2 claim before send", dot)
            self._demand((key, run.epoch) not in self._released, "R7 nothing after a release", dot)
        else:
            claimed = (key, job.seq, job.attempt, run.epoch) in self._claimed
            self._demand(claimed, "R6 retries are claimed before they are sent", dot)
        self._check_right(dot)
        self._check_duplicate(dot)
        return dot

    def _check_right(self, dot: Dot) -> None:
        """R3. While Redis has kept its leases for longer than one lasts, this one must be there.
        After a loss two hosts may send at once, which is why the new one has to wait."""
        losses, lost_at = self.leases_lost()
        owner = self.lease_owner(dot.key)
        mine = owner is not None and owner.split("/")[0] == dot.process.name
        if dot.at - lost_at > self._ttl:
            self._demand(mine, "R3 send only inside the lease", dot)
        # With two losses an old holder may have got its lease back from an empty Redis, and
        # learns that it is fenced only when it writes next.
        if losses < 2:
            late = self._settled.get(dot.key, 0) > dot.epoch
            self._demand(not late, "R5 nothing is sent after the claims are settled", dot)
            finished = self._store.shards[dot.key].finished
            self._demand(not finished, "R1 nothing is sent after the end", dot)

    def _check_duplicate(self, dot: Dot) -> None:
        recipient = (*dot.key, dot.seq)
        others = self.dots.setdefault(recipient, [])
        again = any(other.attempt == dot.attempt for other in others)
        self._demand(not again, "an attempt is made once", dot)
        others.append(dot)
        attempts = self._store.shards[dot.key].ledger.get(dot.seq, {})
        possible = [
            other
            for other in others
            if other.judged is None
            or other.judged is Outcome.ACCEPTED
            or other.attempt not in attempts
            or attempts[other.attempt].outcome in (Outcome.UNKNOWN, Outcome.ACCEPTED)
        ]
        unmarked = sum(not other.marked for other in possible)
        self._demand(unmarked <= 1, "a second attempt that may be a duplicate is marked", dot)
        if self.policies[dot.key[0]] == "keep":
            self._demand(len(possible) <= 1, "keep: nothing that may be accepted is resent", dot)

    def judged(self, dot: Dot, outcome: Outcome) -> None:
        """The receiver got it."""
        dot.judged = outcome
        self.note("receiver", f"{outcome.label} {dot.key} seq {dot.seq} attempt {dot.attempt}")
        if outcome is not Outcome.ACCEPTED:
            return
        accepted = [
            other for other in self.dots[(*dot.key, dot.seq)] if other.judged is Outcome.ACCEPTED
        ]
        if len(accepted) > 1:
            self.duplicates += 1
            self._demand(sum(not d.marked for d in accepted) <= 1, "duplicates are marked", dot)
            policy = self.policies[dot.key[0]]
            self._demand(policy != "keep", "keep: nothing is accepted twice", dot)

    def replied(self, dot: Dot, process: Process) -> None:
        """The sender read the receiver's reply."""
        dot.replied = True

    # Transactions.

    def watch(
        self,
        name: str,
        operation: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """Carries out an operation of the store and checks what it did."""
        if name in ("record", "record_exactly"):
            batches = args[1] if name == "record" else [args[1]]
            return self._watch_facts(name, operation, args, batches)
        if name == "finish_campaign":
            result = operation(*args, **kwargs)
            if result:
                self._check_finished(args[0])
            return result
        if name not in ("take", "claim", "claim_retries", "release", "resolve"):
            return operation(*args, **kwargs)
        key = args[1:3] if name == "resolve" else args[:2]
        epoch = args[3] if name == "resolve" else args[2]
        shard = self._store.shards[key]
        before = (shard.epoch, shard.claimed, shard.done, shard.finished)
        result = operation(*args, **kwargs)
        self.note("mysql", f"{name}{args}{kwargs or ''} -> {result}")
        if name == "take":
            if result is not None:
                self._demand(shard.epoch > before[0], "R5 a takeover has a new epoch", key)
                self._taken_at[key] = self._world.now
        elif result is None or result is False:
            self.fenced += 1
            same = (shard.epoch, shard.claimed, shard.done, shard.finished) == before
            self._demand(same, "R2 a refused write changes nothing", key)
        else:
            self._demand(epoch == before[0], "R2 no fenced write succeeds", (name, *args))
        # A clean release takes it back over what was never attempted, and no further.
        least = self._last_dot(key) if name == "release" else before[1]
        self._demand(shard.claimed >= least, "R2 the claim never moves back", key)
        if result:
            self._check_special(name, key, epoch, result, kwargs)
        self._check_shard(key, shard)
        return result

    def _last_dot(self, key: Key) -> int:
        """The highest recipient of a shard for whom a final dot was written."""
        return max((seq for *shard, seq in self.dots if tuple(shard) == key), default=0)

    def _check_special(
        self, name: str, key: Key, epoch: int, result: Any, kwargs: dict[str, Any]
    ) -> None:
        shard = self._store.shards[key]
        if name == "claim_retries":
            for seq, attempt, _ in result.attempts:
                self._claimed.add((key, seq, attempt, epoch))
                durable = shard.retries[seq].claimed_epoch == epoch
                self._demand(durable, "R6 a claimed retry is claimed in the table", key)
        elif name == "resolve":
            waited = self._world.now - self._taken_at[key]
            self._demand(waited >= self._ttl * (1 - RATE_ERROR), "R5 a takeover waits one TTL", key)
            self._settled[key] = epoch
        elif name == "release":
            self._released.add((key, epoch))
            unattempted = len(shard.ledger) < shard.size
            due = shard.due_at <= kwargs["now"] or not unattempted
            self._demand(due, "R7 what was not attempted is due at once", key)
            # A holder whose release was committed without an answer may go on with retries: it
            # has to claim them anew, and a claimed retry is never taken for unattempted.
            self._claimed = {claim for claim in self._claimed if claim[0::3] != (key, epoch)}
            for recipient, dots in self.dots.items():
                if recipient[:2] != key:
                    continue
                for dot in dots:
                    known = dot.attempt in shard.ledger.get(dot.seq, {})
                    self._demand(
                        known or dot.epoch != epoch, "R7 a release has all of its facts", dot
                    )

    def _watch_facts(
        self,
        name: str,
        operation: Callable[..., Any],
        args: tuple[Any, ...],
        batches: Sequence[Batch],
    ) -> Any:
        keys = [(batch.campaign, batch.shard) for batch in batches]
        marks = [(self._store.shards[key].epoch, self._store.shards[key].done) for key in keys]
        result = operation(*args)
        self.note("mysql", f"{name} {[_short(batch) for batch in batches]} -> {result}")
        for batch, key, (epoch, done) in zip(batches, keys, marks, strict=True):
            shard = self._store.shards[key]
            held = epoch == batch.epoch
            self.fenced += not held
            self._demand(held or shard.done == done, "R4 marks are fenced", key)
            refused = name == "record" and batch in result
            for fact in batch.facts:
                entry = shard.ledger.get(fact.seq, {}).get(fact.attempt)
                self._demand(refused or entry is not None, "R4 facts are not fenced", (key, fact))
                self._check_truth(key, fact.seq, fact.attempt)
            self._check_shard(key, shard)
        return result

    def _check_truth(self, key: Key, seq: int, attempt: int) -> None:
        entry = self._store.shards[key].ledger.get(seq, {}).get(attempt)
        if entry is None or not entry.relay:
            return
        told = any(
            dot.attempt == attempt and dot.replied and _same(dot.judged, entry.outcome)
            for dot in self.dots.get((*key, seq), ())
        )
        self._demand(told, "R4 a fact is recorded after its reply", (key, seq, attempt))

    # States.

    def _check_shard(self, key: Key, shard: Shard) -> None:
        counts, marked = shard.recount()
        self._demand(counts == shard.counts, "R1 the counts are those of the ledger", key)
        self._demand(marked == shard.marked, "R1 the marks are those of the ledger", key)
        gap = next((seq for seq in range(1, shard.done + 1) if seq not in shard.ledger), None)
        self._demand(gap is None, "R4 done is contiguous", (key, gap))
        self._demand(shard.done <= shard.claimed <= shard.size, "marks are in order", key)
        if shard.finished:
            final = sum(counts) == shard.size and not counts[Outcome.DEFERRED]
            self._demand(final and not shard.retries, "R1 finished means finished", key)

    def _check_finished(self, campaign: int) -> None:
        counts = [0] * 7
        for key, shard in self._store.shards.items():
            if key[0] == campaign:
                counts = [a + b for a, b in zip(counts, shard.recount()[0], strict=True)]
        total = self._store.campaigns[campaign].total
        final = sum(counts) == total and not counts[Outcome.DEFERRED]
        self._demand(final, "R1 finished means finished", (campaign, counts, total))

    @contextmanager
    def taking(self, process: Process) -> Iterator[None]:
        """A host waits for the answer to a takeover."""
        self._taking[process] += 1
        try:
            yield
        finally:
            self._taking[process] -= 1

    def took(self, process: Process, key: Key, epoch: int) -> None:
        """A host has learned that it holds a shard."""
        self._known_taken.add((process, key, epoch))

    def check_drained(self, process: Process) -> None:
        """A host says that it has stopped cleanly: it has released all that it knew it held,
        and waits for no takeover."""
        self._demand(not self._taking[process], "R7 a clean stop takes nothing", process)
        for key, shard in self._store.shards.items():
            held = not shard.clean and (process, key, shard.epoch) in self._known_taken
            self._demand(not held, "R7 a clean stop releases every shard", (process, key))

    def check_end(self, reachable: Callable[[Process], bool]) -> None:
        """When everything works again and has come to rest. `reachable` says of a process that
        it lived until now, so that it could record what it knew."""
        for campaign, row in self._store.campaigns.items():
            self._demand(row.state == "finished", "every campaign ends", (campaign, row.state))
            self._check_finished(campaign)
        for key, shard in self._store.shards.items():
            self._check_shard(key, shard)
        for (campaign, number, seq), dots in self.dots.items():
            attempts = self._store.shards[campaign, number].ledger.get(seq, {})
            for dot in dots:
                entry = attempts.get(dot.attempt)
                self._demand(entry is not None, "every attempt has a fact", dot)
                assert entry is not None
                if dot.replied and reachable(dot.process):
                    kept = _same(dot.judged, entry.outcome)
                    self._demand(kept, "R4 a real result is not lost", dot)
                marked = entry.marked or not dot.marked
                self._demand(marked, "the ledger has every mark", dot)

    def _demand(self, holds: bool, rule: str, about: object) -> None:
        if not holds:
            raise Violation(f"{rule}: {about}")


def _same(judged: Outcome | None, recorded: Outcome) -> bool:
    return judged is recorded or (judged, recorded) == (Outcome.DEFERRED, Outcome.EXPIRED)


def _short(batch: Batch) -> str:
    facts = ",".join(f"{f.seq}/{f.attempt}={f.state.label}" for f in batch.facts)
    return f"({batch.campaign},{batch.shard}) epoch {batch.epoch} done {batch.done} {facts}"
