"""Suppressions on a real server: whom they stop, what adding again does, old tables."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable

import pytest

from campaignd.model import SuppressionReason
from campaignd.store import ledger, schema, suppressions
from campaignd.store.db import Database
from campaignd.store.suppressions import GLOBAL, Kind, Suppression

Run = Callable[..., None]
NOW = 1_750_000_000.25
R = SuppressionReason

ADDRESSES = (
    "Anna.Moreau@Shop.example",
    "anna.moreau@shop.example",
    "bruno@eu.mail.shop.example",
    "chiara@othershop.example",
    "ÉLODIE@shop.example",
    '"a%s\'b\\\\"@shop.example',
)


async def audience(db: Database) -> int:
    """A campaign of `acme` with these addresses, as `enqueue` stores them."""
    async with db.transaction() as tx:
        campaign = await tx.insert(
            "INSERT INTO campaigns (account, name, state, spec, fields, total, created_at)"
            " VALUES ('acme', 'test', 'running', '{}', '[]', %s, NOW())",
            (len(ADDRESSES),),
        )
        for seq, address in enumerate(ADDRESSES, 1):
            local, _, domain = address.rpartition("@")
            await tx.execute(
                "INSERT INTO recipients (campaign_id, shard, seq, address, address_key, fields)"
                " VALUES (%s, 0, %s, %s, UNHEX(MD5(%s)), '[]')",
                (campaign, seq, f"{local}@{domain.lower()}", f"{seq}"),
            )
    return campaign


async def stopped(db: Database, campaign: int, account: str = "acme") -> dict[int, int]:
    """The reasons by number, as both ways of reading recipients tell them."""
    window = await ledger.window(db, account, campaign, 0, 0, len(ADDRESSES))
    assert [row[1].lower() for row in window] == [address.lower() for address in ADDRESSES]
    seqs = list(range(1, len(ADDRESSES) + 1))
    assert await ledger.picked(db, account, campaign, 0, seqs) == window
    for row in window:
        reason = await suppressions.reason_for(db, account, row[1])
        assert reason == (R(row[3]).label if row[3] else None), row[1]
    return {row[0]: row[3] for row in window if row[3]}


def entry(kind: Kind, address: str, reason: R = R.MANUAL, md5: bytes = b"") -> Suppression:
    return Suppression(kind, address, reason, md5=md5)


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    ("what", "whom"),
    [
        (entry(Kind.ADDRESS, "ANNA.moreau@shop.example"), {1, 2}),
        (entry(Kind.ADDRESS, "élodie@shop.example"), {5}),
        (entry(Kind.ADDRESS, ADDRESSES[5].upper()), {6}),
        (entry(Kind.ADDRESS, "", md5=hashlib.md5(b"anna.moreau@shop.example").digest()), {1, 2}),
        (entry(Kind.SHA256, sha256("anna.moreau@shop.example")), {1, 2}),
        (entry(Kind.SHA256, sha256("élodie@shop.example")), {5}),
        (entry(Kind.SHA256, sha256("Anna.Moreau@shop.example")), set()),
        (entry(Kind.DOMAIN, "shop.example"), {1, 2, 5, 6}),
        (entry(Kind.DOMAIN_TREE, "shop.example"), {1, 2, 3, 5, 6}),
        (entry(Kind.DOMAIN_TREE, "eu.mail.shop.example"), {3}),
        (entry(Kind.DOMAIN, "mail.shop.example"), set()),
        (entry(Kind.ADDRESS, "bruno@mail.shop.example"), set()),
    ],
)
@pytest.mark.parametrize("owner", ["acme", GLOBAL])
def test_whom_an_entry_stops(
    with_store: Run, owner: str, what: Suppression, whom: set[int]
) -> None:
    async def work(db: Database) -> None:
        campaign = await audience(db)
        assert await stopped(db, campaign) == {}
        assert await suppressions.add(db, owner, [what]) == 1
        assert await stopped(db, campaign) == dict.fromkeys(whom, R.MANUAL)
        assert set(await stopped(db, campaign, "other")) == (whom if owner == GLOBAL else set())
        assert await suppressions.add(db, owner, [what]) == 0
        [[read]] = [page async for page in suppressions.pages(db, owner)]
        assert await suppressions.add(db, owner, [read]) == 0
        if what.address:
            assert await suppressions.remove(db, owner, [(what.kind, what.address)]) == 1
            assert await stopped(db, campaign) == {}

    with_store(work)


def test_the_strongest_of_several_reasons_counts(with_store: Run) -> None:
    async def work(db: Database) -> None:
        campaign = await audience(db)
        who = "anna.moreau@shop.example"
        await suppressions.add(db, GLOBAL, [entry(Kind.DOMAIN, "shop.example", R.UNSUBSCRIBED)])
        await suppressions.add(db, "acme", [entry(Kind.SHA256, sha256(who), R.BOUNCED)])
        await suppressions.add(db, GLOBAL, [entry(Kind.ADDRESS, who, R.COMPLAINED)])
        assert (await stopped(db, campaign))[1] == R.COMPLAINED
        found = await suppressions.matching(db, "acme", who.upper())
        assert [(account, one.kind, one.reason) for account, one in found] == [
            ("", Kind.ADDRESS, R.COMPLAINED),
            ("", Kind.DOMAIN, R.UNSUBSCRIBED),
            ("acme", Kind.SHA256, R.BOUNCED),
        ]

    with_store(work)


def test_suppress_and_lift(with_store: Run) -> None:
    async def work(db: Database) -> None:
        who = "Anna@shop.example"
        assert await suppressions.suppress(db, "acme", who, "bounced", NOW)
        assert not await suppressions.suppress(db, "acme", who.lower(), "bounced", NOW + 9)
        assert await suppressions.reason_for(db, "acme", who) == "bounced"
        assert await suppressions.reason_for(db, "other", who) is None
        [(_, found)] = await suppressions.matching(db, "acme", who)
        assert (found.address, found.at) == (who, NOW)
        await suppressions.add(db, "acme", [entry(Kind.SHA256, sha256(who.lower()))])
        assert await suppressions.lift(db, "acme", "anna@SHOP.example")
        assert not await suppressions.lift(db, "acme", who)
        assert await suppressions.reason_for(db, "acme", who) is None

    with_store(work)


def test_a_stronger_reason_takes_the_place_of_a_weaker_one(with_store: Run) -> None:
    async def work(db: Database) -> None:
        who = "anna@shop.example"
        md5 = hashlib.md5(who.encode()).digest()
        first = Suppression(Kind.ADDRESS, "", R.BOUNCED, "first", NOW, md5)
        await suppressions.add(db, "acme", [first])
        weaker = Suppression(Kind.ADDRESS, who, R.IMPORTED, "weaker", NOW + 1)
        await suppressions.add(db, "acme", [weaker])
        [[read]] = [page async for page in suppressions.pages(db, "acme")]
        assert read == first._replace(address=who), "of a hash the address is learnt"
        async with db.transaction() as tx:
            await suppressions.suppress_many_in(
                tx, [("acme", who, "complained"), ("", who, "bounced")], NOW + 2
            )
        [[read]] = [page async for page in suppressions.pages(db, "acme")]
        assert read == Suppression(Kind.ADDRESS, who, R.COMPLAINED, "", NOW + 2, md5)
        assert await suppressions.lift(db, GLOBAL, who)

    with_store(work)


def test_a_batch_counts_what_is_new(with_store: Run) -> None:
    async def work(db: Database) -> None:
        def batch(first: int, after: int) -> list[Suppression]:
            return [entry(Kind.ADDRESS, f"P{n}@b.example") for n in range(first, after)]

        adder = suppressions.Adder(db, "acme")
        assert await adder.add(batch(0, 3_000)) == 3_000
        assert await adder.add(batch(2_000, 4_000)) == 1_000
        assert await adder.add([*batch(5_000, 5_003), *batch(5_001, 5_004)]) == 4
        assert await adder.add([]) == 0
        pages = [page async for page in suppressions.pages(db, "acme")]
        read = {one.address for page in pages for one in page}
        assert len(read) == sum(map(len, pages)) == 4_004
        assert max(map(len, pages)) <= suppressions.PAGE_ROWS

    with_store(work)


def test_two_writers_of_the_same_entries(with_store: Run) -> None:
    async def work(db: Database) -> None:
        entries = [entry(Kind.ADDRESS, f"p{n}@b.example") for n in range(2_000)]
        counts = await asyncio.gather(
            *(suppressions.add(db, "acme", order) for order in (entries, entries[::-1]) * 3)
        )
        assert max(counts) <= 2_000
        assert sum([len(page) async for page in suppressions.pages(db, "acme")]) == 2_000

    with_store(work)


def test_a_window_asks_by_whole_keys(with_store: Run) -> None:
    """Asked for two accounts at once, the server reads all of an account's list for each
    recipient; so it did."""

    async def rows_read(db: Database) -> int:
        """On the one connection that there is."""
        async with db.statement() as tx:
            rows = await tx.fetch("SHOW SESSION STATUS LIKE 'Handler_read%'")
        return sum(int(row[1]) for row in rows)

    async def work(db: Database) -> None:
        campaign = await audience(db)
        entries = [entry(Kind.ADDRESS, f"p{n}@b.example") for n in range(3_000)]
        await suppressions.add(db, "acme", entries)
        await suppressions.add(db, GLOBAL, [*entries, entry(Kind.DOMAIN_TREE, "b.example")])
        before = await rows_read(db)
        await ledger.window(db, "acme", campaign, 0, 0, len(ADDRESSES))
        assert await rows_read(db) - before < 500

    with_store(work)


def test_the_earlier_table_is_kept(with_empty: Run) -> None:
    async def work(db: Database) -> None:
        first, second, *_ = schema.migrations()
        await schema.migrate(db, [first])
        async with db.statement() as tx:
            await tx.execute(
                "INSERT INTO suppressions (account, address_key, reason, created_at) VALUES"
                " ('acme', UNHEX(MD5('a@b.example')), 'complained', FROM_UNIXTIME(%s)),"
                " ('', UNHEX(MD5('c@d.example')), 'they asked', FROM_UNIXTIME(%s))",
                (NOW, NOW),
            )
            # A migrate that was killed after either statement repeats it.
            await tx.execute(second.statements[0])
        await schema.migrate(db, [first, second])
        async with db.statement() as tx:
            await tx.execute(
                "UPDATE schema_version SET statements = 1, complete = 0 WHERE version = 2"
            )
        await schema.migrate(db)
        assert await suppressions.reason_for(db, "acme", "A@b.example") == "complained"
        assert await suppressions.reason_for(db, "other", "A@b.example") is None
        assert await suppressions.reason_for(db, "other", "c@d.example") == "manual"
        [(_, found)] = await suppressions.matching(db, "acme", "a@b.example")
        assert found.at == NOW

    with_empty(work)
