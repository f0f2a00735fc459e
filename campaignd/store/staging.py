"""The rows of a user's query, in a temporary table of one connection, until they are an audience.

The query runs once. Its rows never leave the server, but for those whose address the server
cannot judge and for rejects.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Final, NamedTuple

import pymysql.err

from campaignd.errors import CampaigndError, UsageError
from campaignd.model import SHARD_SIZE
from campaignd.store import audience
from campaignd.store.audience import Progress, Recipient
from campaignd.store.db import Database, Transaction, translate
from campaignd.store.sql import staging as sql
from campaignd.store.sql.literal import escape

QUERY_SECONDS: Final = 21_600.0
"""How long the whole of a load may take; a user's query may be slow for good reasons."""

_PAGE: Final = 2_000


class Unsettled(NamedTuple):
    """A staged row that the server could not judge."""

    row: int
    address: str
    too_long: bool
    """Its merge fields are longer than allowed, whatever the address is."""


async def columns(db: Database, query: str) -> list[str]:
    """The names that a query yields. Raises UsageError, in one line, if it does not run."""
    async with db.statement() as tx:
        try:
            return await tx.columns(sql.COLUMNS.format(query=query))
        except pymysql.err.MySQLError as error:
            raise _complaint(error) from None


@asynccontextmanager
async def staged(
    db: Database, query: str, email: str, fields: Sequence[str], plain: str, plain_octets: int
) -> AsyncIterator[Staging]:
    """Runs a query into a temporary table that lives as long as the block.

    `email` and `fields` are its columns. `plain` is the pattern, `plain_octets` the length, of
    addresses that are valid without a closer look. Raises UsageError if the query fails.
    """
    async with db.statement(timeout=QUERY_SECONDS) as tx:
        await tx.execute(sql.CREATE)
        fill = sql.FILL.format(
            octets=plain_octets,
            plain=escape(plain),
            email=_column(email),
            values=", ".join(map(_column, fields)),
            query=query,
        )
        try:
            rows = await tx.execute(fill)
        except pymysql.err.MySQLError as error:
            raise _complaint(error) from None
        yield Staging(tx, rows)
        await tx.execute(sql.DROP)


class Staging:
    """Rows on their way into an audience. They are numbered from 1 as the server yielded them."""

    def __init__(self, tx: Transaction, rows: int) -> None:
        self.rows = rows
        """That the query yielded."""
        self._tx = tx

    async def unsettled(self, octets: int) -> AsyncIterator[list[Unsettled]]:
        """In pages, the rows that the server could not judge or whose merge fields are longer
        than `octets`."""
        last = 0
        while page := await self._tx.fetch(sql.UNSETTLED, (octets, last, octets, _PAGE)):
            yield [Unsettled(int(n), str(address or ""), bool(long)) for n, address, long in page]
            last = int(page[-1][0])

    async def settle(
        self, judged: Iterable[tuple[int, str, bytes]], rejected: Sequence[int]
    ) -> None:
        """Row, mailbox and key of those that are valid after all; rows of those that are not."""
        values = ",".join(
            f"({row},'{escape(mailbox)}',x'{key.hex()}')" for row, mailbox, key in judged
        )
        if values:
            await self._tx.execute(sql.CREATE_JUDGED)
            await self._tx.execute(sql.ADD_JUDGED + values)
            await self._tx.execute(sql.TAKE_JUDGED)
            await self._tx.execute(sql.DROP_JUDGED)
        if rejected:
            await self._tx.execute(sql.REMOVE, (tuple(rejected),))

    async def duplicates(self) -> AsyncIterator[list[tuple[int, str]]]:
        """Removes all but the first row of each address; yields row and address of the others,
        in pages."""
        await self._tx.execute(sql.FIND_DUPLICATES)
        last = 0
        while page := await self._tx.fetch(sql.DUPLICATES, (last, _PAGE)):
            yield [(int(row), str(address)) for row, address in page]
            last = int(page[-1][0])
        if last:
            await self._tx.execute(sql.REMOVE_DUPLICATES)
        await self._tx.execute(sql.DROP_DUPLICATES)

    async def sample(self, count: int) -> list[Recipient]:
        """The first recipients."""
        rows = await self._tx.fetch(sql.SAMPLE, (count,))
        return [
            (int(n), bytes(key), str(address), fields.encode()) for n, key, address, fields in rows
        ]

    async def move(
        self, campaign: int, outcome: Progress, fields: Sequence[str], now: float
    ) -> AsyncIterator[Progress]:
        """Makes shards of all rows, one transaction each; yields the progress after each.

        The campaign stands at its beginning; `outcome` is what is known of the rest of the input,
        with total 0. Raises UsageError if someone else changed the campaign meanwhile.
        """
        seen, above, tx = Progress(), 0, self._tx
        while True:
            count, upto = await tx.one(sql.NEXT, (above, SHARD_SIZE)) or (0, None)
            if not count:
                return
            gaps = upto - above != count
            statement = sql.MOVE.format(
                campaign=campaign,
                shard=seen.total // SHARD_SIZE,
                seq=sql.NUMBER_BY_PLACE if gaps else sql.NUMBER_BY_N.format(above=above),
                above=above,
                upto=upto,
            )
            after = outcome._replace(total=seen.total + count)
            await tx.execute("START TRANSACTION")
            await audience.fence(tx, campaign, seen)
            await tx.execute(statement)
            await audience.grow_shards(tx, campaign, seen.total, after.total, now)
            await audience.advance(tx, campaign, after, fields)
            await tx.execute("COMMIT")
            seen, above = after, upto
            yield seen


def _column(name: str) -> str:
    return "q.`" + name.replace("`", "``") + "`"


def _complaint(error: pymysql.err.MySQLError) -> Exception:
    """What the user sees of an error in their query; weather stays weather."""
    seen = translate(error, committing=False)
    if isinstance(seen, CampaigndError) and not isinstance(seen, UsageError):
        return seen
    number, text = error.args[0], str(error.args[-1])
    return UsageError(f"--query: {' '.join(text.split())} ({number})")
