"""How long it takes until the shards of a lost daemon have a new holder, and what it left."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import pymysql

from tests.faults.host import Host
from tests.faults.stage import Stage

_HELD: Final = """
SELECT s.campaign_id, s.shard, s.epoch FROM shards s JOIN campaigns c ON c.id = s.campaign_id
WHERE s.owner = %s AND s.clean = 0 AND s.finished = 0 AND c.state = 'running'
"""

_AMBIGUOUS: Final = """
SELECT COUNT(*) FROM shards s
JOIN recipients r ON r.campaign_id = s.campaign_id AND r.shard = s.shard
    AND r.seq > GREATEST(s.done, s.ambiguous) AND r.seq <= s.claimed
LEFT JOIN ledger l ON l.campaign_id = r.campaign_id AND l.shard = r.shard AND l.seq = r.seq
WHERE s.owner = %s AND s.clean = 0 AND s.finished = 0 AND l.seq IS NULL
"""

_RETRIES: Final = """
SELECT COUNT(*) FROM shards s
JOIN retries r ON r.campaign_id = s.campaign_id AND r.shard = s.shard
    AND r.claimed_epoch = s.epoch
WHERE s.owner = %s AND s.clean = 0 AND s.finished = 0
"""

_EPOCHS: Final = "SELECT campaign_id, shard, epoch, finished FROM shards WHERE finished = 0"


@dataclass(slots=True)
class Takeover:
    """A lost daemon, and when the last of its shards was taken."""

    host: str
    shards: dict[tuple[int, int], int]
    """The epochs under which it held them."""
    lost_at: float
    ambiguous: int
    """Claimed by it, without a fact, when it was lost."""
    taken: dict[tuple[int, int], float] = field(default_factory=dict)
    """After how many seconds each had a new holder, or was finished."""
    seconds: float | None = None
    """The last of these."""
    hampered: bool = False
    """MySQL or Redis were in trouble meanwhile, or another daemon was lost."""


class Takeovers:
    """Watches. Times are monotonic."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.found: list[Takeover] = []

    def lost(self, host: Host) -> None:
        """A daemon is dead or stands still from now on; MySQL is asked what it holds."""
        at = time.monotonic()
        for takeover in self.found:
            if takeover.seconds is None:
                takeover.hampered = True
        with suppress(pymysql.err.OperationalError, OSError):
            rows = self._ask(_HELD, host.name)
            ambiguous = sum(
                int(self._ask(statement, host.name)[0][0]) for statement in (_AMBIGUOUS, _RETRIES)
            )
            if rows:
                held = {(int(c), int(s)): int(epoch) for c, s, epoch in rows}
                self.found.append(Takeover(host.name, held, at, ambiguous))

    def look(self, *, hampered: bool) -> None:
        """To be called often. `hampered`: a takeover cannot be expected at this moment."""
        waiting = [takeover for takeover in self.found if takeover.seconds is None]
        if not waiting:
            return
        alive = sum(host.running for host in self._stage.hosts)
        for takeover in waiting:
            takeover.hampered = takeover.hampered or hampered or not alive
        try:
            rows = self._ask(_EPOCHS)
        except (pymysql.err.OperationalError, OSError):
            return
        now = time.monotonic()
        current = {(int(c), int(s)): int(epoch) for c, s, epoch, _ in rows}
        for takeover in waiting:
            for key, epoch in takeover.shards.items():
                if key not in takeover.taken and current.get(key, epoch + 1) > epoch:
                    takeover.taken[key] = now - takeover.lost_at
            if len(takeover.taken) == len(takeover.shards):
                takeover.seconds = max(takeover.taken.values())

    def _ask(self, statement: str, *args: object) -> Sequence[tuple[Any, ...]]:
        """As `Stage.query`, but does not wait long for a server that is frozen."""
        with self._stage.ledger.connect(2) as connection, connection.cursor() as cursor:
            cursor.execute(statement, args)
            rows: Sequence[tuple[Any, ...]] = cursor.fetchall()
            return rows
