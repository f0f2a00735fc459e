"""Reads the rows of a user's query, each as text that can stand in an INSERT.

The server does what it can for each row: it judges and hashes the address, makes JSON of the fields
and quotes both. The query runs once and is never changed, and its rows are not held: a transaction
that stores them is not the one that reads them.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Final, NamedTuple

import pymysql.err

from campaignd.errors import CampaigndError, UsageError
from campaignd.store.audience import Recipient
from campaignd.store.db import Database, translate
from campaignd.store.sql import query as sql
from campaignd.store.sql.literal import escape, unescape
from campaignd.store.wire import RowSplitter

QUERY_SECONDS: Final = 21_600.0
"""How long the server may be silent; a user's query may be slow for good reasons."""

_KEYED: Final = b"x'"
_KEY: Final = slice(2, 34)
_AFTER_KEY: Final = 36
"""Of the text of a row that has a key: `x'...',`."""

_QUOTED: Final = re.compile(rb"'((?:[^'\\]|\\.)*)'", re.DOTALL)


class RowText(NamedTuple):
    """What a row of the query yields."""

    address: str | None
    """Cut after `address_most` characters, unless the server has found it good."""
    fields: bytes | None
    """JSON; None if it is longer than `fields_most`."""


class Format(NamedTuple):
    """Of which addresses the server makes keys, and how much it sends of what is too long."""

    normal: str
    """The pattern of addresses that are stored as they are, if they have at most this many
    octets."""
    octets: int
    address_most: int
    """Characters."""
    fields_most: int
    """Octets."""

    @property
    def quoted_most(self) -> int:
        """Octets that the fields take at the most when all of them have to be escaped."""
        return 2 * self.fields_most + len("''")

    def keyed(self, text: bytes) -> bool:
        """Whether a text can be stored without a closer look: the server has found the address
        good and the fields are short."""
        return text.startswith(_KEYED) and len(text) <= self.fields_most

    def all_keyed(self, texts: Sequence[bytes]) -> bool:
        """Whether all of them are `keyed`, in a fifth of the time."""
        return max(map(len, texts)) <= self.fields_most and {text[:2] for text in texts} == {_KEYED}

    def read(self, text: bytes) -> RowText:
        """What a text means."""
        at = _AFTER_KEY if text.startswith(_KEYED) else 0
        quoted = _QUOTED.match(text, at)
        if quoted is None:  # NULL
            address, rest = None, text.partition(b",")[2]
        else:
            address, rest = unescape(quoted[1]).decode(), text[quoted.end() + 1 :]
        if not 0 < len(rest) <= self.quoted_most:
            return RowText(address, None)
        fields = unescape(rest[1:-1])
        return RowText(address, fields if len(fields) <= self.fields_most else None)


def key_of(text: bytes) -> bytes:
    """The key that a keyed text begins with, in hexadecimal."""
    return text[_KEY]


def recipient(line: int, text: bytes) -> Recipient:
    """A keyed text as values."""
    mailbox, fields = _QUOTED.findall(text, _AFTER_KEY)
    return line, bytes.fromhex(key_of(text).decode()), unescape(mailbox).decode(), unescape(fields)


def keyed_text(mailbox: str, key: bytes, fields: bytes) -> bytes:
    """Values as the server would have sent them if it could have judged the address."""
    return f"x'{key.hex()}','{escape(mailbox)}','{escape(fields.decode())}'".encode()


async def columns(db: Database, query: str) -> list[str]:
    """The names that a query yields. Raises UsageError, in one line, if it does not run."""
    async with db.statement() as tx:
        try:
            return await tx.columns(sql.COLUMNS.format(query=query))
        except pymysql.err.MySQLError as error:
            raise _complaint(error) from None


async def rows(
    db: Database, query: str, email: str, fields: Sequence[str], form: Format
) -> AsyncGenerator[list[bytes]]:
    """The texts of all rows, some at a time, in the query's order.

    `email` and `fields` are its columns. Close it where it is not read to its end. Raises
    UsageError if the query fails.
    """
    statement = sql.ROWS.format(
        octets=form.octets,
        normal=escape(form.normal),
        address_most=form.address_most,
        fields_most=form.quoted_most + 1,
        email=_column(email),
        values=", ".join(map(_column, fields)),
        query=query,
    )
    splitter = RowSplitter()
    async with db.statement(timeout=QUERY_SECONDS) as tx:
        await tx.execute(sql.PATIENCE)
        try:
            async with aclosing(tx.octets(statement)) as pieces:
                while not splitter.done:
                    yield splitter.feed(await anext(pieces))
        except pymysql.err.MySQLError as error:
            raise _complaint(error) from None


def _column(name: str) -> str:
    return "q.`" + name.replace("`", "``") + "`"


def _complaint(error: pymysql.err.MySQLError) -> Exception:
    """What the user sees of an error in their query; weather stays weather."""
    seen = translate(error, committing=False)
    if isinstance(seen, CampaigndError) and not isinstance(seen, UsageError):
        return seen
    number, text = error.args[0], str(error.args[-1])
    return UsageError(f"--query: {' '.join(text.split())} ({number})")
