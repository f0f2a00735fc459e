"""MySQL as `campaignd.store.shards` and `campaignd.store.ledger` use it, in memory.

Every method is one transaction of the function of the same name there, and takes the same
arguments but for the database. Atomic, because each of those transactions begins by locking the
shard's row. `tests/integration/pipeline/test_model.py` runs both side by side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from campaignd.model import Attempt, Fact, Outcome, Retry, Taken
from campaignd.store.ledger import Batch, Recipient, Resolution, follow_up
from campaignd.store.shards import ClaimedRetries, Content, OpenCampaign

Key = tuple[int, int]

ACCEPTED, UNKNOWN, DEFERRED = Outcome.ACCEPTED, Outcome.UNKNOWN, Outcome.DEFERRED


@dataclass(slots=True)
class Entry:
    """A fact in the ledger."""

    outcome: Outcome
    marked: bool
    relay: str


@dataclass(slots=True)
class RetryRow:
    attempt: int
    marked: bool
    claimed_epoch: int
    due_at: float


@dataclass(slots=True)
class Shard:
    size: int
    due_at: float
    epoch: int = 0
    owner: str = ""
    clean: bool = True
    finished: bool = False
    claimed: int = 0
    done: int = 0
    ambiguous: int = 0
    counts: list[int] = field(default_factory=lambda: [0] * 7)
    """Indexed by outcome."""
    marked: int = 0
    ledger: dict[int, dict[int, Entry]] = field(default_factory=dict)
    """By recipient, then by attempt."""
    retries: dict[int, RetryRow] = field(default_factory=dict)

    def next_retry(self) -> float | None:
        return min((r.due_at for r in self.retries.values() if not r.claimed_epoch), default=None)

    def recount(self) -> tuple[list[int], int]:
        """The counters as the ledger and the retries have them."""
        counts, marked = [0] * 7, 0
        for seq, attempts in self.ledger.items():
            marked += sum(entry.marked for entry in attempts.values())
            if any(entry.outcome is ACCEPTED for entry in attempts.values()):
                counts[ACCEPTED] += 1
            elif seq in self.retries:
                counts[DEFERRED] += 1
            else:
                counts[attempts[max(attempts)].outcome] += 1
        return counts, marked


@dataclass(slots=True)
class Campaign:
    account: str
    total: int
    state: str = "running"
    started_at: float = 0.0
    spec: bytes = b""


class Store:
    """`suppressed` are the recipients (campaign, shard, seq) that must not be written to."""

    def __init__(self) -> None:
        self.campaigns: dict[int, Campaign] = {}
        self.shards: dict[Key, Shard] = {}
        self.suppressed: set[tuple[int, int, int]] = set()

    def add(self, campaign: int, sizes: Sequence[int], *, now: float, spec: bytes) -> None:
        self.campaigns[campaign] = Campaign("acme", sum(sizes), "running", now, spec)
        for number, size in enumerate(sizes):
            self.shards[campaign, number] = Shard(size, now)

    # campaignd.store.campaigns

    def due(self, now: float) -> int:
        return 0

    def set_state(self, campaign: int, source: str, target: str) -> None:
        """pause and resume."""
        if self.campaigns[campaign].state == source:
            self.campaigns[campaign].state = target

    # campaignd.store.shards

    def content(self, campaign: int) -> Content:
        row = self.campaigns[campaign]
        return Content(row.account, row.spec, b"[]", row.started_at)

    def states(self, campaigns: list[int]) -> dict[int, str]:
        return {campaign: self.campaigns[campaign].state for campaign in campaigns}

    def open_campaigns(self, now: float, *, after: int, limit: int) -> list[OpenCampaign]:
        return [
            OpenCampaign(number, row.account, row.started_at)
            for number, row in sorted(self.campaigns.items())
            if row.state == "running" and number > after and self._open(number, now)
        ][:limit]

    def open_shards(self, campaigns: Sequence[int], now: float, limit: int) -> list[Key]:
        return [key for campaign in campaigns for key in self._open(campaign, now)[:limit]]

    def _open(self, campaign: int, now: float) -> list[Key]:
        found = [
            (shard.due_at, key)
            for key, shard in self.shards.items()
            if key[0] == campaign and not shard.finished and shard.due_at <= now
        ]
        return [key for _, key in sorted(found)]

    def take(self, campaign: int, shard: int, host: str) -> Taken | None:
        row = self.shards.get((campaign, shard))
        if row is None or row.finished or self.campaigns[campaign].state != "running":
            return None
        if not row.clean:
            row.ambiguous = row.claimed
        if row.ambiguous <= row.done:
            row.ambiguous = 0
        row.epoch += 1
        row.owner = host
        row.clean = False
        facts = frozenset(seq for seq in row.ledger if row.done < seq <= row.claimed)
        strays = any(r.claimed_epoch not in (0, row.epoch) for r in row.retries.values())
        return Taken(
            row.size,
            row.epoch,
            row.claimed,
            row.done,
            row.ambiguous,
            facts,
            strays,
            row.next_retry(),
        )

    def claim(self, campaign: int, shard: int, epoch: int, upto: int) -> bool:
        row = self.shards[campaign, shard]
        if row.epoch != epoch:
            return False
        row.claimed = max(row.claimed, upto)
        return True

    def claim_retries(
        self, campaign: int, shard: int, epoch: int, now: float, limit: int
    ) -> ClaimedRetries | None:
        row = self.shards[campaign, shard]
        if row.epoch != epoch:
            return None
        due = sorted(
            (retry.due_at, seq)
            for seq, retry in row.retries.items()
            if not retry.claimed_epoch and retry.due_at <= now
        )[:limit]
        attempts = []
        for _, seq in due:
            retry = row.retries[seq]
            retry.claimed_epoch = epoch
            attempts.append(Attempt(seq, retry.attempt, retry.marked))
        return ClaimedRetries(attempts, row.next_retry())

    def release(
        self, campaign: int, shard: int, epoch: int, *, done: int, now: float, idle: bool
    ) -> bool:
        row = self.shards[campaign, shard]
        if row.epoch != epoch:
            return False
        for seq in [seq for seq, retry in row.retries.items() if retry.claimed_epoch == epoch]:
            if any(entry.outcome is ACCEPTED for entry in row.ledger[seq].values()):
                del row.retries[seq]
            else:
                row.retries[seq].claimed_epoch = 0
        row.clean = True
        row.owner = ""
        row.done = done
        row.claimed = max(done, row.ambiguous, max(row.ledger, default=0))
        row.due_at = (row.next_retry() if idle else None) or now
        if idle and not self._finish(row):
            row.counts, row.marked = row.recount()
            self._finish(row)
        return True

    @staticmethod
    def _finish(row: Shard) -> bool:
        final = sum(row.counts) - row.counts[DEFERRED]
        if row.done != row.size or row.ambiguous or row.counts[DEFERRED] or row.retries:
            return False
        row.finished = row.finished or final == row.size
        return final == row.size

    def complete_campaigns(self) -> list[int]:
        return [
            campaign
            for campaign, row in self.campaigns.items()
            if row.state == "running"
            and all(shard.finished for key, shard in self.shards.items() if key[0] == campaign)
        ]

    def finish_campaign(self, campaign: int, now: float) -> bool:
        row = self.campaigns[campaign]
        shards = [shard for key, shard in self.shards.items() if key[0] == campaign]
        final = sum(
            sum(shard.counts) for shard in shards if shard.finished and not shard.counts[DEFERRED]
        )
        if row.state != "running" or final != row.total or not all(s.finished for s in shards):
            return False
        row.state = "finished"
        return True

    # campaignd.store.ledger

    def window(
        self, account: str, campaign: int, shard: int, above: int, upto: int
    ) -> list[Recipient]:
        return self.picked(account, campaign, shard, range(above + 1, upto + 1))

    def picked(
        self, account: str, campaign: int, shard: int, seqs: Sequence[int]
    ) -> list[Recipient]:
        return [
            (seq, f"{seq}@{shard}", [], int((campaign, shard, seq) in self.suppressed))
            for seq in seqs
        ]

    def record(self, host: str, batches: Sequence[Batch]) -> list[Batch]:
        fenced = []
        for batch in sorted(batches):
            row = self.shards[batch.campaign, batch.shard]
            if row.epoch != batch.epoch:
                fenced.append(batch)
                continue
            row.done = batch.done
            for fact in batch.facts:
                row.counts[fact.state] += 1
                if fact.attempt > 1:
                    row.counts[DEFERRED] -= 1
            if min(row.counts) < 0:
                raise ArithmeticError(f"counter out of range: {row.counts}")
            _add_facts(row, batch.facts)
            for fact in batch.facts:
                if fact.attempt > 1 and fact.retry is None:
                    row.retries.pop(fact.seq, None)
            _put_retries(row, batch.facts)
        return fenced

    def record_exactly(self, host: str, batch: Batch) -> bool:
        row = self.shards[batch.campaign, batch.shard]
        held = row.epoch == batch.epoch
        latest = {
            fact.seq: (
                max(row.ledger[fact.seq]),
                any(entry.outcome is ACCEPTED for entry in row.ledger[fact.seq].values()),
            )
            for fact in batch.facts
            if fact.seq in row.ledger
        }
        facts, ended = follow_up(batch.facts, latest, finished=row.finished)
        _add_facts(row, facts)
        for seq in {fact.seq for fact in facts}:
            retry = row.retries.get(seq)
            if retry is not None and max(row.ledger[seq]) >= retry.attempt:
                del row.retries[seq]
        for seq in ended:
            if seq in row.retries and not row.retries[seq].claimed_epoch:
                del row.retries[seq]
        _put_retries(row, facts)
        if held:
            row.done = batch.done
        row.counts, row.marked = row.recount()
        return held

    def resolve(
        self,
        host: str,
        campaign: int,
        shard: int,
        epoch: int,
        *,
        done: int,
        upto: int,
        resend: bool,
        now: float,
    ) -> Resolution | None:
        row = self.shards[campaign, shard]
        if row.epoch != epoch:
            return None
        known = [seq for seq in sorted(row.ledger) if done < seq <= upto]
        first = [(seq, 1, False) for seq in range(done + 1, upto + 1) if seq not in row.ledger]
        again = [
            (seq, retry.attempt, retry.marked)
            for seq, retry in sorted(row.retries.items())
            if retry.claimed_epoch not in (0, epoch)
        ]
        facts = []
        for seq, attempt, marked in first + again:
            reached = any(e.outcome is ACCEPTED for e in row.ledger.get(seq, {}).values())
            retry = self.second_attempt(now) if resend and not reached else None
            facts.append(Fact(seq, attempt, UNKNOWN, marked, 0, "", "", "", now, retry))
        _add_facts(row, facts)
        for seq, _, _ in again:
            del row.retries[seq]
        _put_retries(row, facts)
        row.ambiguous = 0
        row.counts, row.marked = row.recount()
        return Resolution([seq for seq, _, _ in first] + known, len(facts), row.next_retry())

    def second_attempt(self, now: float) -> Retry:
        """What follows an ambiguous attempt under `resend`."""
        return Retry(now, True)


def _add_facts(row: Shard, facts: Sequence[Fact]) -> None:
    for fact in facts:
        attempts = row.ledger.setdefault(fact.seq, {})
        entry = attempts.get(fact.attempt)
        if entry is None:
            attempts[fact.attempt] = Entry(fact.outcome, fact.maybe_duplicate, fact.relay)
        elif entry.outcome is UNKNOWN:
            entry.outcome, entry.relay = fact.outcome, fact.relay


def _put_retries(row: Shard, facts: Sequence[Fact]) -> None:
    for fact in facts:
        if fact.retry is None:
            continue
        number, (due_at, marked) = fact.attempt + 1, fact.retry
        retry = row.retries.get(fact.seq)
        if retry is None:
            row.retries[fact.seq] = RetryRow(number, marked, 0, due_at)
            continue
        if retry.attempt < number:
            retry.attempt, retry.claimed_epoch, retry.due_at = number, 0, due_at
        retry.marked = retry.marked or marked
