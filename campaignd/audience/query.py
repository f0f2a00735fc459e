"""Loads the rows of a query on the store's own server, mostly without seeing them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, NamedTuple

from campaignd.audience import address
from campaignd.audience.feed import Check, Report
from campaignd.audience.prepare import DUPLICATE, FIELDS_OCTETS, FIELDS_TOO_LONG
from campaignd.audience.rejects import RejectsFile
from campaignd.audience.rows import EMAIL, FIELDS_MOST, Reject
from campaignd.errors import RowError, UsageError
from campaignd.store import staging
from campaignd.store.audience import Progress
from campaignd.store.db import Database

SAMPLE: Final = 20
"""Recipients that the campaign is tried on before any is stored."""

_TOKEN: Final = re.compile(
    r"""'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*"|`[^`]*`"""
    r"""|--(?=\s|\Z)[^\n]*|\#[^\n]*|/\*.*?\*/|[^'"`/#\-]+|.""",
    re.DOTALL,
)


class Query(NamedTuple):
    """A query that has been found to run."""

    text: str
    email: str
    """The column of the address, as the query spells it."""
    fields: list[str]
    """The other columns."""


def single_select(text: str) -> str:
    """A query without its final semicolon.

    Raises UsageError unless it is one SELECT (or WITH ... SELECT). This is against accidents: who
    may enqueue may send any SQL to the same server anyway.
    """
    code = []
    for token in _TOKEN.findall(text):
        if token in ("'", '"', "`"):
            raise UsageError("--query: a quote is not closed")
        if token.startswith(("/*!", "/*M!")):
            raise UsageError("--query: comments that the server runs are not taken")
        if token.startswith(("--", "#", "/*")):
            code.append(" ")
        else:
            code.append(token if token[0] not in "'\"`" else "''")
    bare = "".join(code).strip()
    if bare.endswith(";"):
        bare = bare[:-1].rstrip()
        text = text.rstrip()
        if not text.endswith(";"):
            raise UsageError("--query: leave out the semicolon and what follows it")
        text = text[:-1]
    if ";" in bare:
        raise UsageError("--query: takes a single SELECT, without a semicolon")
    if not re.match(r"\(*\s*(?:select|with)\b", bare, re.IGNORECASE):
        raise UsageError("--query: takes a SELECT")
    depth = 0
    for sign in re.findall(r"[()]", bare):
        depth += 1 if sign == "(" else -1
        if depth < 0:
            break
    if depth != 0:
        raise UsageError("--query: the parentheses do not match")
    return text.strip()


async def inspect(db: Database, text: str) -> Query:
    """Raises UsageError, in one line, if the query does not run or has no column `email`."""
    query = single_select(text)
    names = await staging.columns(db, query)
    emails = [name for name in names if name.lower() == EMAIL]
    if len(emails) != 1:
        shown = ", ".join(names[:6])[:120]
        raise UsageError(f"--query: needs one column named `{EMAIL}`; it yields: {shown}")
    if len(names) > FIELDS_MOST:
        raise UsageError(f"--query: more than {FIELDS_MOST:,} columns")
    return Query(query, emails[0], [name for name in names if name != emails[0]])


async def load(
    db: Database,
    campaign: int,
    query: Query,
    rejects: RejectsFile,
    *,
    check: Check,
    report: Report | None,
    clock: Callable[[], float],
) -> Progress:
    """Loads all rows; rejects and duplicates are named by the number of their row.

    Raises UsageError (the query fails, the campaign cannot be composed or was changed) and
    StoreOutage.
    """
    rejects.begin()
    plain = address.PLAIN.replace(r"\Z", r"\z")
    async with staging.staged(
        db, query.text, query.email, query.fields, plain, address.PLAIN_OCTETS
    ) as stage:
        invalid = duplicates = 0
        async for unsettled in stage.unsettled(FIELDS_OCTETS):
            judged, refused = _judge(unsettled)
            await stage.settle(judged, [reject.line for reject in refused])
            rejects.add(refused)
            invalid += len(refused)
        async for page in stage.duplicates():
            rejects.add(Reject(row, mailbox, DUPLICATE) for row, mailbox in page)
            duplicates += len(page)
        check(query.fields, await stage.sample(SAMPLE))
        done = Progress(0, stage.rows, invalid, duplicates)
        async for moved in stage.move(campaign, done, query.fields, clock()):
            done = moved
            if report is not None:
                report(done.total, None)
    return done


def _judge(
    unsettled: list[staging.Unsettled],
) -> tuple[list[tuple[int, str, bytes]], list[Reject]]:
    judged, refused = [], []
    for row, text, too_long in unsettled:
        try:
            mailbox, key, _ = address.parse_address(text)
        except RowError as error:
            refused.append(Reject(row, text[:320], str(error)))
            continue
        if too_long:
            refused.append(Reject(row, mailbox, FIELDS_TOO_LONG))
        else:
            judged.append((row, mailbox, key))
    return judged, refused
