"""What follows from a failure that is the recipient's: the suppression of its address.

At once for an address that is bad; after a run of campaigns for what may pass. All of it happens in
the transaction that records the failure, and may be repeated.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from typing import Final, NamedTuple

from campaignd.config import Bounces as Settings
from campaignd.model import SuppressionReason
from campaignd.store import suppressions
from campaignd.store.db import Transaction
from campaignd.store.sql import bounces as sql
from campaignd.store.sql.literal import escape

REASON: Final = SuppressionReason.BOUNCED.label


class RunLimits(NamedTuple):
    """How long a run of soft failures ends in a suppression."""

    failures: int
    """Failed campaigns, with nothing accepted in between."""
    days: float
    """Between the first of them and the last, at least."""

    @classmethod
    def of(cls, settings: Settings) -> RunLimits:
        """Those of the configuration."""
        return cls(settings.soft_failures, settings.soft_days)


NO_RUNS: Final = RunLimits(1 << 30, 0.0)
"""Soft failures never suppress."""


class Failure(NamedTuple):
    """A campaign failed to reach an address, for good as far as the campaign is concerned."""

    account: str
    campaign: int
    address: str
    at: float
    """Epoch seconds."""
    bad: bool
    """The address itself is bad; otherwise the failure counts in its run."""


async def follow_in(tx: Transaction, failures: Sequence[Failure], limits: RunLimits) -> None:
    """Suppresses what is to be suppressed after these failures."""
    bad = [(failure.account, failure.address) for failure in failures if failure.bad]
    soft = [failure for failure in failures if not failure.bad]
    if soft:
        bad += await _ended_runs(tx, soft, limits)
    if bad:
        entries = [(account, address, REASON) for account, address in dict.fromkeys(bad)]
        await suppressions.suppress_many_in(tx, entries, None)


async def _ended_runs(
    tx: Transaction, failures: Sequence[Failure], limits: RunLimits
) -> list[tuple[str, str]]:
    """Counts the failures; returns whose run, by account and address, is long enough."""
    rows = sorted({_row(failure) for failure in failures})
    await tx.execute(sql.ADD.format(rows=",".join(rows)))
    of_account: dict[str, dict[bytes, str]] = defaultdict(dict)
    for failure in failures:
        of_account[failure.account][_key(failure.address)] = failure.address
    ended: list[tuple[str, str]] = []
    for account, addresses in of_account.items():
        for key in await _long(tx, account, list(addresses), limits):
            accepted = await _was_accepted(tx, account, key, addresses[key])
            if accepted and key not in await _long(tx, account, [key], limits):
                continue
            await tx.execute(sql.END, (account, key))
            ended.append((account, addresses[key]))
    return ended


async def _long(
    tx: Transaction, account: str, keys: Sequence[bytes], limits: RunLimits
) -> list[bytes]:
    seconds = limits.days * 86_400
    found = await tx.fetch(sql.LONG_RUNS, (account, tuple(keys), limits.failures, seconds))
    return [bytes(row[0]) for row in found]


async def _was_accepted(tx: Transaction, account: str, key: bytes, address: str) -> bool:
    """Looks for it once the run is long enough, and not at every acceptance: those are many."""
    row = await tx.one(sql.ACCEPTED, (address, account, key, account, key))
    if row is None or row[0] is None:
        return False
    await tx.execute(sql.FORGET, (account, key, float(row[0])))
    return True


def _row(failure: Failure) -> str:
    key = _key(failure.address).hex()
    return (
        f"('{escape(failure.account)}',x'{key}',{failure.campaign},FROM_UNIXTIME({failure.at:.3f}))"
    )


def _key(address: str) -> bytes:
    return hashlib.md5(address.lower().encode(), usedforsecurity=False).digest()
