"""Enqueueing the rows of a query: the server's judgement agrees with Python's."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from campaignd.audience import address
from campaignd.audience.load import EnqueueResult, enqueue
from campaignd.audience.prepare import DUPLICATE, FIELDS_TOO_LONG
from campaignd.audience.query import BATCH_ROWS
from campaignd.audience.source import QuerySource
from campaignd.compose.spec import CampaignSpec
from campaignd.errors import CampaignError, RowError, TemplateError, UsageError
from campaignd.model import SHARD_SIZE, CampaignState
from campaignd.store import audience, campaigns
from campaignd.store.audience import Batch, Loader, Progress
from campaignd.store.db import Database

from .content import SPEC, Recipient, audience_of, fields_of, nothing_left, rejects_in

Run = Callable[..., None]


async def people(db: Database, rows: list[tuple[str | None, object]]) -> None:
    async with db.transaction() as tx:
        await tx.execute(
            "CREATE TABLE people (id INT AUTO_INCREMENT PRIMARY KEY, email TEXT, first TEXT)"
            " DEFAULT CHARSET=utf8mb4"
        )
        for row in rows:
            await tx.execute("INSERT INTO people (email, first) VALUES (%s, %s)", row)


async def many(db: Database, count: int) -> None:
    async with db.statement(timeout=60) as tx:
        await tx.execute("CREATE TABLE people (id INT PRIMARY KEY, email TEXT, first TEXT)")
        rows = ",".join(f"({n},'user{n}@example.com','{n}')" for n in range(1, count + 1))
        await tx.execute(f"INSERT INTO people VALUES {rows}")


async def load(
    db: Database, tmp_path: Path, query: str, *, spec: CampaignSpec = SPEC, key: str | None = None
) -> EnqueueResult:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # the driver passes the server's warnings on
        return await enqueue(
            db, spec, QuerySource(query), key=key, rejects_path=tmp_path / "rejects.csv"
        )


def test_every_kind_of_row(with_store: Run, tmp_path: Path) -> None:
    async def work(db: Database) -> None:
        await people(
            db,
            [
                ("a@B.de", "Anna"),
                ("ü@exämple.de", 'it\'s \\ "fine"\n😀'),
                ("nonsense", "x"),
                (None, "y"),
                ("A@b.de", None),
                ("a@b.DE", "again"),
                ("a@b.de\n", "again"),
                ("long@b.de", "z" * 40_000),
                ("x" * 1_000, "x"),
                ("a@b@c.de", "x"),
                ("user@\u212aelvin.com", "KELVIN SIGN"),
                ("user@kelvin.com", "again"),
            ],
        )
        result = await load(db, tmp_path, "SELECT first, Email, 1 AS `a ``b` FROM people;")
        assert await audience_of(db, result.id) == [
            Recipient("a@b.de", ["Anna", 1]),
            Recipient("ü@xn--exmple-cua.de", ['it\'s \\ "fine"\n😀', 1]),
            Recipient("A@b.de", [None, 1]),
            Recipient("user@kelvin.com", ["KELVIN SIGN", 1]),
        ]
        assert await fields_of(db, result.id) == ["first", "a `b"]
        assert result[1:4] == (4, 5, 3)
        assert sorted(rejects_in(tmp_path / "rejects.csv")) == [
            (3, "nonsense", "an address needs an @"),
            (4, "", "no address"),
            (6, "a@b.de", DUPLICATE),
            (7, "a@b.de", DUPLICATE),
            (8, "long@b.de", FIELDS_TOO_LONG),
            (9, "x" * 320, "an address needs an @"),
            (10, "a@b@c.de", "more than one @"),
            (12, "user@kelvin.com", DUPLICATE),
        ]
        found = await campaigns.get(db, result.id)
        assert (found.state, found.input_rows) == (CampaignState.RUNNING, 12)

    with_store(work)


AWKWARD = [
    "a@b.de", "a@b", "a@b.c", "a@b.co", ".a@b.de", "a.@b.de", "a..b@c.de", "a@-b.de", "a@b-.de",
    "a@b--c.de", "a@xn--exmple-cua.de", "a@XN--999999.de", "a@1.de", "a@b.1", "a@b.d1", "a@b.de.",
    "!#$%&'*+/=?^_`{|}~-@b.de", "a\\b@c.de", "a[b@c.de", "a]b@c.de", "a-b@c.de", "a&&b@c.de",
    "a--b@c.de", '"a"@b.de', "a@b.de ", " a@b.de", "a b@c.de", "a@b.de\r", "a,b@c.de", "@", "a@",
    "@b.de", "a@@b.de", "a@b.de\x00", "ſ@b.de", "a@b.ſe", "x" * 64 + "@b.de", "x" * 65 + "@b.de",
    "x" * 57 + "@b.com", "x" * 58 + "@b.com", "x" * 59 + "@b.com", "a@" + "y" * 60 + ".de",
    "a@" + "y" * 64 + ".de", "A.B+c@Sub.Example.COM", "a;b@c.de", "a%s@c.de", "a@b_c.de", "",
]  # fmt: skip


def test_the_server_and_python_judge_alike(with_store: Run, tmp_path: Path) -> None:
    async def work(db: Database) -> None:
        await people(db, [(text, str(number)) for number, text in enumerate(AWKWARD)])
        result = await load(db, tmp_path, "SELECT email, first FROM people")
        expected: dict[str, str] = {}
        for number, text in enumerate(AWKWARD):
            try:
                expected.setdefault(address.parse_address(text).mailbox, str(number))
            except RowError:
                pass
        found = await audience_of(db, result.id)
        assert {recipient.address: recipient.fields[0] for recipient in found} == expected
        assert result.total + result.invalid + result.duplicates == len(AWKWARD)

    with_store(work)


def test_many_shards_with_and_without_gaps(with_store: Run, tmp_path: Path) -> None:
    async def work(db: Database) -> None:
        count = 2 * SHARD_SIZE + 5_000
        await many(db, count)
        plain = await load(db, tmp_path, "SELECT email, first FROM people")
        expected = [Recipient(f"user{n}@example.com", [str(n)]) for n in range(1, count + 1)]
        assert sorted(await audience_of(db, plain.id)) == sorted(expected)
        assert (plain.invalid, plain.duplicates, plain.rejects_path) == (0, 0, None)

        gaps = await load(
            db, tmp_path,
            "SELECT CASE WHEN id % 1000 = 0 THEN 'nonsense' WHEN id % 100 = 1"
            " THEN 'one@example.com' ELSE email END AS email, first FROM people",
        )  # fmt: skip
        kept = [one for n, one in enumerate(expected, 1) if n % 1000 and n % 100 != 1]
        found = await audience_of(db, gaps.id)
        assert sorted(one for one in found if one.address != "one@example.com") == sorted(kept)
        assert (gaps.total, gaps.invalid, gaps.duplicates) == (
            len(kept) + 1, count // 1000, count // 100 - 1
        )  # fmt: skip
        assert len(rejects_in(tmp_path / "rejects.csv")) == gaps.invalid + gaps.duplicates

    with_store(work)


def test_a_query_that_fails_when_much_is_stored_leaves_nothing(
    with_store: Run, tmp_path: Path
) -> None:
    async def work(db: Database) -> None:
        await many(db, 3 * BATCH_ROWS)
        late = f"IF(id = {3 * BATCH_ROWS}, (SELECT id FROM people), 1) AS late"
        with pytest.raises(UsageError, match=r"^--query: .*more than 1 row \(1242\)$"):
            await load(db, tmp_path, f"SELECT email, {late} FROM people ORDER BY id")
        assert await nothing_left(db)

    with_store(work)


def test_many_addresses_that_the_server_does_not_judge(with_store: Run, tmp_path: Path) -> None:
    async def work(db: Database) -> None:
        count = 2 * BATCH_ROWS
        await many(db, count)
        result = await load(db, tmp_path, "SELECT UPPER(email) AS email, first FROM people")
        assert (result.total, result.invalid, result.duplicates) == (count, 0, 0)
        assert sorted(await audience_of(db, result.id)) == sorted(
            Recipient(f"USER{n}@example.com", [str(n)]) for n in range(1, count + 1)
        )

    with_store(work)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELECT email FROM nowhere", r"^--query: Table '.*nowhere' doesn't exist \(1146\)$"),
        ("SELECT email, FROM people", r"^--query: You have an error in your SQL syntax.*\(1064\)$"),
        ("SELECT mail FROM people", r"^--query: Unknown column 'mail'"),
        ("SELECT first FROM people", "needs one column named `email`; it yields: first"),
        ("SELECT email, email FROM people", r"Duplicate column name 'email' \(1060\)"),
        ("SELECT email FROM people INTO OUTFILE '/tmp/d_out'", r"\(\d+\)$"),
        ("DELETE FROM people", "takes a SELECT"),
        ("SELECT 1; DROP TABLE people", "single SELECT"),
        ("SELECT email, (SELECT id FROM people) AS id FROM people", r"more than 1 row \(1242\)$"),
        ("SELECT email FROM people WHERE 1 = 0", "none of 0 rows"),
        ("SELECT 'x' AS email FROM people", "none of 2 rows is a valid recipient; see"),
    ],
)
def test_a_query_that_cannot_be_used(
    with_store: Run, tmp_path: Path, query: str, message: str
) -> None:
    async def work(db: Database) -> None:
        await people(db, [("a@b.de", "x"), ("b@b.de", "y")])
        with pytest.raises(UsageError, match=message) as caught:
            await load(db, tmp_path, query)
        assert "\n" not in str(caught.value)
        assert await nothing_left(db)

    with_store(work)


@pytest.mark.parametrize(
    ("text", "error"), [("{{ nobody }}", TemplateError), ("{{ 1 // first }}", CampaignError)]
)
def test_a_template_is_tried_before_anything_is_stored(
    with_store: Run, tmp_path: Path, text: str, error: type[Exception]
) -> None:
    async def work(db: Database) -> None:
        await people(db, [("a@b.de", "x")])
        spec = msgspec.structs.replace(SPEC, text=text)
        with pytest.raises(error):
            await load(db, tmp_path, "SELECT email, first FROM people", spec=spec)
        assert await nothing_left(db)

    with_store(work)


def test_a_key_repeats_reports_and_starts_over(with_store: Run, tmp_path: Path) -> None:
    async def work(db: Database) -> None:
        await people(db, [("a@b.de", "x"), ("b@b.de", "y")])
        query = "SELECT email, first FROM people"
        first = await load(db, tmp_path, query, key="k")
        again = await load(db, tmp_path, query + " ;", key="k")
        assert (again.id, again.existed, again.total) == (first.id, True, 2)
        with pytest.raises(UsageError, match="'k' belongs to campaign"):
            await load(db, tmp_path, query + " LIMIT 1", key="k")

        # As a killed load leaves it: part of the audience is there, and the query has changed.
        async with db.statement() as tx:
            await tx.execute("UPDATE campaigns SET state = 'loading' WHERE id = %s", (first.id,))
            await tx.execute("DELETE FROM people WHERE first = 'x'")
        resumed = await load(db, tmp_path, query, key="k")
        assert (resumed.id, resumed.existed, resumed.total) == (first.id, False, 1)
        assert await audience_of(db, first.id) == [Recipient("b@b.de", ["y"])]

    with_store(work)


def test_cancelled_by_someone_while_loading(with_store: Run, tmp_path: Path) -> None:
    async def work(db: Database) -> None:
        await many(db, 3 * SHARD_SIZE)
        cancelling: list[asyncio.Task[campaigns.Campaign]] = []

        def progress(rows: int, octets: int | None) -> None:
            if not cancelling:
                cancelling.append(asyncio.create_task(campaigns.cancel(db, 1, 0.0)))

        with pytest.raises(UsageError, match="campaign 1 was cancelled"):
            await enqueue(db, SPEC, QuerySource("SELECT email FROM people"), progress=progress)
        assert (await cancelling[0]).state is CampaignState.CANCELLED
        assert await audience_of(db, 1) == []

    with_store(work)


def test_the_audience_does_not_hear_of_other_campaigns(with_store: Run, tmp_path: Path) -> None:
    async def work(db: Database) -> None:
        await people(db, [("a@b.de", "x")])
        other = await campaigns.create(
            db, account="acme", name="n", spec=b"{}", key=None, fingerprint="", now=0.0
        )
        loader = Loader(db, other, Progress())
        _, key = address.parse_address("a@b.de")[:2]
        await loader.add(
            Batch({key: (1, key, "a@b.de", b"[]")}, 1, 0, 0, []), 0.0, lambda known: None
        )
        result = await load(db, tmp_path, "SELECT email, first FROM people")
        assert (result.total, result.duplicates) == (1, 0)
        await audience.delete(db, other)
        assert len(await audience_of(db, result.id)) == 1

    with_store(work)
