"""Addresses and domains that must not be written to.

An account's suppressions hold for its own campaigns, those of the account '' (global) for all.
Letter case never matters, neither in the domain nor before the @. Of several reasons the strongest
stays, so that adding what is there already changes nothing and can be repeated.

Never looks at an address's syntax: that is `audience.address` for what people hand in.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, Final, NamedTuple

import pymysql.err

from campaignd.model import SuppressionReason
from campaignd.store.db import Database, Transaction
from campaignd.store.patience import patiently
from campaignd.store.sql import suppressions as sql
from campaignd.store.sql.literal import escape

GLOBAL: Final = ""
"""The account whose suppressions hold for all."""

NOTE_CHARACTERS: Final = 200
"""Of a note, as the column has them."""

BATCH_SECONDS: Final = 120.0
"""A batch of an import takes 50 ms; a server that is checkpointing hard may take seconds."""

PAGE_ROWS: Final = 2_000


class Kind(enum.IntEnum):
    """What is suppressed. The numbers are stored: never renumber."""

    ADDRESS = 1
    DOMAIN = 2
    """All addresses at exactly this domain."""
    DOMAIN_TREE = 3
    """All addresses at this domain and at every domain below it."""
    SHA256 = 4
    """An address of which only the hash is known."""


class Suppression(NamedTuple):
    """One entry of one account, read or to be written."""

    kind: Kind
    address: str
    """An address or a domain (in lower-case ASCII after the @), or a SHA-256 as 64 hexadecimal
    digits; empty for an address of which only the MD5 is known."""
    reason: SuppressionReason
    note: str = ""
    """At most NOTE_CHARACTERS."""
    at: float | None = None
    """Since when, epoch seconds; None to write it with the server's present time."""
    md5: bytes = b""
    """The key: known of what was read, and needed of an ADDRESS without `address`."""


async def suppress(
    db: Database, account: str, address: str, reason: str, now: float | None
) -> bool:
    """Suppresses a valid address; whether it is new to the account. `reason` is the label of a
    SuppressionReason, `now` epoch seconds."""
    entry = Suppression(Kind.ADDRESS, address, SuppressionReason[reason.upper()], at=now)
    return await add(db, account, [entry]) > 0


async def suppress_many_in(
    tx: Transaction, entries: Sequence[tuple[str, str, str]], now: float | None
) -> None:
    """The same for many (account, address, reason), in a transaction that is under way."""
    rows = sorted(
        _row(account, Suppression(Kind.ADDRESS, address, SuppressionReason[reason.upper()], at=now))
        for account, address, reason in entries
    )
    if rows:
        await tx.execute(sql.ADD.format(rows=",".join(rows)) + sql.STRENGTHEN)


async def lift(db: Database, account: str, address: str) -> bool:
    """Takes an address, and the hashes of it, off the account's list; False if it was not there.
    Its domain may still be on the list, or the address on the global one."""
    return await remove(db, account, [(Kind.ADDRESS, address), (Kind.SHA256, address)]) > 0


async def reason_for(db: Database, account: str, address: str) -> str | None:
    """The label of the strongest reason why the account must not write to a valid address, or
    None if it may."""
    found = await matching(db, account, address)
    return found[0][1].reason.label if found else None


async def matching(db: Database, account: str, address: str) -> list[tuple[str, Suppression]]:
    """Every entry, with its account, that keeps `account` from writing to a valid address; the
    strongest first."""
    domain = address.rpartition("@")[2].lower()
    labels = domain.split(".")
    above = [
        ".".join(labels[-count:])
        for count in range(sql.LEAST_LABELS, min(len(labels), sql.MOST_LABELS) + 1)
    ]
    keys = _keys(
        [
            (Kind.ADDRESS, address),
            (Kind.SHA256, address),
            (Kind.DOMAIN, domain),
            *((Kind.DOMAIN_TREE, name) for name in above),
        ]
    )
    statement = sql.MATCHING.format(account=escape(account), keys=keys)
    async with db.statement() as tx:
        rows = await tx.fetch(statement)
    return [(str(of), _suppression(Kind(kind), row)) for of, kind, *row in rows]


async def add(db: Database, account: str, entries: Sequence[Suppression]) -> int:
    """Adds some thousand entries at most, all or nothing; returns how many are new.

    Safe to repeat, and repeated here when MySQL is away for a moment: what was new may then count
    as known. Raises StoreOutage.
    """
    return await Adder(db, account).add(entries)


async def remove(db: Database, account: str, entries: Iterable[tuple[Kind, str]]) -> int:
    """Takes entries off the account's list, by their kind and address; returns how many there
    were. A SHA256 is named by the address or by the hash."""
    keys = _keys(entries)
    async with db.statement() as tx:
        return await tx.execute(sql.REMOVE.format(account=escape(account), keys=keys))


async def pages(db: Database, account: str) -> AsyncIterator[list[Suppression]]:
    """All entries of an account, some at a time, by kind and key; no cursor stays open between."""
    for kind in Kind:
        last = b""
        while True:
            async with db.statement() as tx:
                rows = await tx.fetch(sql.PAGE, (account, kind.value, last, PAGE_ROWS))
            if rows:
                yield [_suppression(kind, row) for row in rows]
                last = bytes(rows[-1][0])
            if len(rows) < PAGE_ROWS:
                break


class Adder:
    """Adds batch after batch to one account's list.

    Inserting is tried first. From a batch in which some entry was known the next ones are taken
    for such, too: they are compared with what is there.
    """

    CAREFUL: Final = 16
    """For so many batches."""

    def __init__(self, db: Database, account: str) -> None:
        self._db = db
        self._account = account
        self._careful = 0

    async def add(self, entries: Sequence[Suppression]) -> int:
        """See `add`."""
        rows = sorted({_row(self._account, entry) for entry in entries})
        if not rows:
            return 0

        async def attempt() -> int:
            async with self._db.statement(timeout=BATCH_SECONDS) as tx:
                return await self._add(tx, rows, entries)

        return await patiently(attempt)

    async def _add(
        self, tx: Transaction, rows: Sequence[str], entries: Sequence[Suppression]
    ) -> int:
        insert = sql.ADD.format(rows=",".join(rows))
        if not self._careful:
            try:
                return await tx.execute(insert)
            except pymysql.err.IntegrityError:
                self._careful = self.CAREFUL
        self._careful -= 1
        keys = {(entry.kind, _key(entry)) for entry in entries}
        count = sql.COUNT.format(account=escape(self._account), keys=_condition(keys))
        known = await tx.one(count)
        await tx.execute(insert + sql.STRENGTHEN)
        return len(keys) - (int(known[0]) if known is not None else 0)


def _row(account: str, entry: Suppression) -> str:
    """As it stands in an INSERT. In the order of rows those of one account are in the order of
    the primary key, as long as their keys are known: that saves page reads and deadlocks."""
    at = "NOW(3)" if entry.at is None else f"FROM_UNIXTIME({entry.at:.3f})"
    return (
        f"('{escape(account)}',{entry.kind:d},{_key(entry)},'{escape(entry.address)}',{entry.reason:d},"
        f"'{escape(entry.note)}',{at})"
    )


def _key(entry: Suppression) -> str:
    return f"x'{entry.md5.hex()}'" if entry.md5 else _literal(entry.kind, entry.address)


def _literal(kind: Kind, address: str) -> str:
    """The key; or what the server works it out from, where letters outside ASCII have to be folded
    as it folds them. A SHA256 may be given as the address."""
    if kind is Kind.SHA256 and "@" not in address:
        return f"x'{bytes.fromhex(address[:32]).hex()}'"
    if not address.isascii():
        wanted = sql.SHA256_KEY if kind is Kind.SHA256 else sql.ADDRESS_KEY
        return wanted.format(text=escape(address))
    folded = address.lower().encode()
    if kind is Kind.SHA256:
        return f"x'{hashlib.sha256(folded).hexdigest()[:32]}'"
    return f"x'{hashlib.md5(folded, usedforsecurity=False).hexdigest()}'"


def _keys(entries: Iterable[tuple[Kind, str]]) -> str:
    """The condition that a row is one of these."""
    return _condition((kind, _literal(kind, address)) for kind, address in entries)


def _condition(keys: Iterable[tuple[Kind, str]]) -> str:
    by_kind: dict[Kind, list[str]] = {}
    for kind, key in keys:
        by_kind.setdefault(kind, []).append(key)
    return " OR ".join(
        f"(kind = {kind:d} AND suppression_key IN ({','.join(literals)}))"
        for kind, literals in by_kind.items()
    )


def _suppression(kind: Kind, row: Sequence[Any]) -> Suppression:
    key, address, reason, note, at = row
    return Suppression(kind, address, SuppressionReason(reason), note, float(at), bytes(key))
