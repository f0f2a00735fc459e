"""Loads the rows of a query on the store's own server, mostly without looking at them."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from itertools import islice
from typing import Final, NamedTuple

from campaignd.audience import address
from campaignd.audience.feed import Check, Report
from campaignd.audience.prepare import DUPLICATE, FIELDS_OCTETS, FIELDS_TOO_LONG
from campaignd.audience.rejects import RejectsFile
from campaignd.audience.rows import EMAIL, FIELDS_MOST, Reject
from campaignd.errors import RowError, UsageError
from campaignd.store import ahead
from campaignd.store import query as reading
from campaignd.store.ahead import TextBatch
from campaignd.store.audience import Loader, Progress, Recipient
from campaignd.store.db import Database

SAMPLE: Final = 20
"""Recipients that the campaign is tried on before any is stored."""

BATCH_ROWS: Final = 5_000
"""Rows in a transaction, about: half a shard."""

BATCH_OCTETS: Final = 4_194_304
"""Text in a transaction, about: it fits into one packet of a server with MariaDB's default
`max_allowed_packet` of 16 MB."""

FORMAT: Final = reading.Format(
    normal=address.NORMAL.replace(r"\Z", r"\z"),
    octets=address.PLAIN_OCTETS,
    address_most=400,
    fields_most=FIELDS_OCTETS,
)

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
    names = await reading.columns(db, query)
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
    loader = Loader(db, campaign, Progress())

    def tell(progress: Progress) -> None:
        if report is not None:
            report(progress.input_rows, None)

    async with aclosing(_batches(db, query, rejects, check)) as batches:
        await ahead.store(db, campaign, loader, batches, clock, tell)
    return loader.progress


async def _batches(
    db: Database, query: Query, rejects: RejectsFile, check: Check
) -> AsyncGenerator[TextBatch]:
    checked = False
    async with aclosing(_texts(db, query)) as pieces:
        first = 1
        async for texts in pieces:
            batch = _Batch(first, texts)
            rejects.add([*batch.rejects, *batch.duplicates])
            if not checked and batch.texts:
                check(query.fields, batch.recipients(SAMPLE).values())
                checked = True
            yield TextBatch(
                batch.texts,
                len(texts),
                len(batch.rejects),
                len(batch.duplicates),
                query.fields,
                batch.recipients,
                lambda known: rejects.add(
                    Reject(line, box, DUPLICATE) for line, _, box, _ in known
                ),
            )
            first += len(texts)


async def _texts(db: Database, query: Query) -> AsyncGenerator[list[bytes]]:
    """The rows of one batch after the other."""
    texts: list[bytes] = []
    octets = 0
    async with aclosing(reading.rows(db, query.text, query.email, query.fields, FORMAT)) as pieces:
        async for piece in pieces:
            texts += piece
            octets += sum(map(len, piece))
            if len(texts) >= BATCH_ROWS or octets >= BATCH_OCTETS:
                yield texts
                texts, octets = [], 0
    if texts:
        yield texts


class _Batch:
    """Some rows, judged: those that are stored, by their keys, and those that are not."""

    def __init__(self, first: int, texts: list[bytes]) -> None:
        """`first` is the number of the first row."""
        self.rejects: list[Reject] = []
        self.duplicates: list[Reject] = []
        self.lines: Sequence[int] = range(first, first + len(texts))
        self.texts = dict(zip(map(reading.key_of, texts), texts, strict=True))
        if len(self.texts) < len(texts) or not FORMAT.all_keyed(texts):
            self._look(texts)

    def recipients(self, most: int | None = None) -> dict[bytes, Recipient]:
        """Those that are stored, or the first of them, as values."""
        pairs = zip(self.lines, self.texts.values(), strict=True)
        some = [reading.recipient(line, text) for line, text in islice(pairs, most)]
        return {one[1]: one for one in some}

    def _look(self, texts: list[bytes]) -> None:
        kept: dict[bytes, bytes] = {}
        lines = []
        for line, text in zip(self.lines, texts, strict=True):
            if not FORMAT.keyed(text):
                judged = _judge(line, text)
                if isinstance(judged, Reject):
                    self.rejects.append(judged)
                    continue
                text = judged
            key = reading.key_of(text)
            if key in kept:
                mailbox = reading.recipient(line, text)[2]
                self.duplicates.append(Reject(line, mailbox, DUPLICATE))
            else:
                kept[key] = text
                lines.append(line)
        self.texts, self.lines = kept, lines


def _judge(line: int, text: bytes) -> bytes | Reject:
    found, fields = FORMAT.read(text)
    try:
        mailbox, key, _ = address.parse_address(found or "")
    except RowError as error:
        return Reject(line, (found or "")[:320], str(error))
    if fields is None:
        return Reject(line, mailbox, FIELDS_TOO_LONG)
    return reading.keyed_text(mailbox, key, fields)
