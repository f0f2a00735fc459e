"""Compares what a receiver took with what the ledger says: the judge of every test here.

Reads MySQL directly, past every proxy, in one consistent snapshot.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import pymysql

from campaignd.model import Outcome
from campaignd.sandbox.sinklog import Accepted

SHOWN: Final = 5
"""Examples of one kind in a message."""

FINAL: Final = frozenset(
    {Outcome.ACCEPTED, Outcome.REJECTED, Outcome.EXPIRED, Outcome.SUPPRESSED, Outcome.UNKNOWN}
)

_RECIPIENTS: Final = """
SELECT r.address, r.shard, r.seq, l.attempt, l.outcome, l.maybe_duplicate
FROM recipients r LEFT JOIN ledger l
    ON l.campaign_id = r.campaign_id AND l.shard = r.shard AND l.seq = r.seq
WHERE r.campaign_id = %s ORDER BY r.shard, r.seq, l.attempt
"""

_COUNTERS: Final = """
SELECT c.state, c.total, SUM(s.deferred), SUM(s.accepted), SUM(s.rejected), SUM(s.expired),
    SUM(s.suppressed), SUM(s.`unknown`), SUM(s.maybe_duplicates), SUM(s.finished = 0)
FROM campaigns c JOIN shards s ON s.campaign_id = c.id WHERE c.id = %s GROUP BY c.id
"""

_STATES: Final = """
SELECT state, COUNT(*), SUM(marked) FROM (
    SELECT CASE WHEN MAX(l.outcome = 2) = 1 THEN 2 WHEN MAX(w.seq) IS NOT NULL THEN 1
        ELSE MAX(l.attempt * 8 + l.outcome) & 7 END AS state, SUM(l.maybe_duplicate) AS marked
    FROM ledger l LEFT JOIN retries w
        ON w.campaign_id = l.campaign_id AND w.shard = l.shard AND w.seq = l.seq
    WHERE l.campaign_id = %s GROUP BY l.shard, l.seq
) AS recipient GROUP BY state
"""


class Standing(NamedTuple):
    """The counters of a campaign beside what its ledger adds up to, in one snapshot."""

    state: str
    total: int
    counters: dict[Outcome, int]
    ledger: dict[Outcome, int] | None
    """None if it was not read."""
    marked_counter: int
    marked_ledger: int
    open_shards: int

    @property
    def pending(self) -> int:
        return self.total - sum(self.counters.values())

    def problems(self) -> list[str]:
        """What is wrong with R1 at this moment; empty if it is exact."""
        found = []
        if self.ledger is not None and self.counters != self.ledger:
            ledger = _named(self.ledger)
            found.append(f"R1: counters {_named(self.counters)}, ledger {ledger}")
        if self.ledger is not None and self.marked_counter != self.marked_ledger:
            found.append(f"marked: counter {self.marked_counter}, ledger {self.marked_ledger}")
        if self.pending < 0:
            found.append(f"R1: pending is {self.pending}")
        open_ = self.pending or self.counters.get(Outcome.DEFERRED, 0) or self.open_shards
        if self.state == "finished" and open_:
            found.append(f"finished, with {self.pending} pending, {_named(self.counters)}")
        return found


@dataclass(slots=True)
class Verdict:
    """What the comparison came to. Lists hold addresses."""

    state: str
    recipients: int = 0
    messages: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    maybe_duplicates: int = 0
    """Attempts that are marked."""
    without_outcome: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    """Accepted, says the ledger, and the receiver never took it."""
    duplicates: list[str] = field(default_factory=list)
    unmarked: list[str] = field(default_factory=list)
    """Taken more often than marks allow."""
    unrecorded: list[str] = field(default_factory=list)
    """Taken, and every attempt in the ledger says that it was definitely not."""
    strange: list[str] = field(default_factory=list)
    """Taken for somebody who is no recipient, or under two Message-IDs (R9)."""
    r1: list[str] = field(default_factory=list)

    def problems(self, *, keep: bool = False, finished: bool = True) -> list[str]:
        """Everything that breaks a promise. `keep` is the campaign's policy."""
        found = list(self.r1)
        if finished:
            found += [f"the campaign is {self.state}"] if self.state != "finished" else []
            found += _shown("without an outcome", self.without_outcome)
        found += _shown("lost", self.lost)
        found += _shown("duplicates not marked", self.unmarked)
        found += _shown("taken, but not by the ledger", self.unrecorded)
        found += _shown("strange", self.strange)
        if keep:
            found += _shown("duplicates under keep", self.duplicates)
        return found


class Ledger:
    """The store as the judge sees it. A context manager."""

    def __init__(self, socket: str, database: str) -> None:
        self._where = {"unix_socket": socket, "db": database, "user": "campaignd"}

    def connect(self, read_timeout: float = 60) -> pymysql.Connection[Any]:
        """A connection of its own. Raises pymysql's errors while the server is away."""
        return pymysql.connect(
            **self._where, autocommit=True, connect_timeout=5, read_timeout=read_timeout
        )

    def standing(self, campaign: int, *, deep: bool = True) -> Standing:
        """R1 at this moment; with `deep` the whole ledger is added up too."""
        with self.connect(read_timeout=10) as connection, connection.cursor() as cursor:
            _snapshot(cursor)
            return _standing(cursor, campaign, deep=deep)

    def judge(self, campaign: int, taken: Iterable[Accepted]) -> Verdict:
        """Compares the ledger of a campaign with the messages of it that were taken."""
        with self.connect() as connection, connection.cursor() as cursor:
            _snapshot(cursor)
            standing = _standing(cursor, campaign)
            cursor.execute(_RECIPIENTS, (campaign,))
            rows = cursor.fetchall()
        return compare(standing, rows, taken)


def compare(
    standing: Standing, rows: Iterable[tuple[Any, ...]], taken: Iterable[Accepted]
) -> Verdict:
    """Pure: `rows` are address, shard, seq, attempt, outcome, mark, by recipient and attempt, with
    None for one without an attempt."""
    attempts: dict[str, list[tuple[Outcome, bool]]] = defaultdict(list)
    for address, _, _, attempt, outcome, marked in rows:
        known = attempts[address]
        if attempt is not None:
            known.append((Outcome(outcome), bool(marked)))
    messages: Counter[str] = Counter()
    ids: dict[str, str] = {}
    verdict = Verdict(standing.state, len(attempts), r1=standing.problems())
    for accepted in taken:
        address = accepted.recipient
        messages[address] += 1
        if address not in attempts or ids.setdefault(address, accepted.message_id) != (
            accepted.message_id
        ):
            verdict.strange.append(address)
    verdict.messages = messages.total()
    for address, made in attempts.items():
        _judge(verdict, address, made, messages[address])
    return verdict


def _judge(verdict: Verdict, address: str, made: list[tuple[Outcome, bool]], messages: int) -> None:
    outcomes = [outcome for outcome, _ in made]
    marks = sum(marked for _, marked in made)
    verdict.maybe_duplicates += marks
    final = Outcome.ACCEPTED if Outcome.ACCEPTED in outcomes else outcomes[-1] if outcomes else None
    if final is None or final not in FINAL:
        verdict.without_outcome.append(address)
    else:
        verdict.outcomes[final.label] += 1
    if messages < outcomes.count(Outcome.ACCEPTED):
        verdict.lost.append(address)
    if messages > 1:
        verdict.duplicates.append(address)
        if marks < messages - 1:
            verdict.unmarked.append(address)
    if messages and not {Outcome.ACCEPTED, Outcome.UNKNOWN} & set(outcomes):
        verdict.unrecorded.append(address)


def _snapshot(cursor: Any) -> None:
    cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")


def _standing(cursor: Any, campaign: int, *, deep: bool = True) -> Standing:
    cursor.execute(_COUNTERS, (campaign,))
    state, total, *numbers = cursor.fetchone()
    *counts, marked, unfinished = (int(number) for number in numbers)
    if not deep:
        found = None
    else:
        cursor.execute(_STATES, (campaign,))
        found = {Outcome(int(state)): (int(n), int(m)) for state, n, m in cursor.fetchall()}
    return Standing(
        str(state),
        int(total),
        {outcome: count for outcome, count in zip(Outcome, counts, strict=True) if count},
        None if found is None else {outcome: count for outcome, (count, _) in found.items()},
        marked,
        sum(marks for _, marks in (found or {}).values()),
        unfinished,
    )


def _named(counts: dict[Outcome, int]) -> dict[str, int]:
    return {outcome.label: count for outcome, count in sorted(counts.items())}


def _shown(what: str, addresses: list[str]) -> list[str]:
    if not addresses:
        return []
    more = ", ..." if len(addresses) > SHOWN else ""
    return [f"{len(addresses)} {what}: {', '.join(addresses[:SHOWN])}{more}"]
