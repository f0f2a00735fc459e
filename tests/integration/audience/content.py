"""A campaign to enqueue, and what a database holds of it afterwards."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from campaignd.compose.spec import CampaignSpec
from campaignd.model import SHARD_SIZE
from campaignd.store.db import Database

SPEC = CampaignSpec(
    name="Spring",
    account="acme",
    sender="Acme <news@acme.example>",
    envelope_sender="news@acme.example",
    subject="Hi {{ first | default('friend') }}",
    text="Hello",
)


class Recipient(NamedTuple):
    address: str
    fields: list[Any]


async def audience_of(db: Database, campaign: int) -> list[Recipient]:
    """All recipients in their order, having checked numbers, keys and shards."""
    async with db.statement() as tx:
        rows = await tx.fetch(
            "SELECT shard, seq, address, fields, address_key = UNHEX(MD5(address))"
            " FROM recipients WHERE campaign_id = %s ORDER BY shard, seq",
            (campaign,),
        )
        shards = await tx.fetch(
            "SELECT shard, size FROM shards WHERE campaign_id = %s ORDER BY shard", (campaign,)
        )
        total = await tx.one("SELECT total FROM campaigns WHERE id = %s", (campaign,))
    places = [(shard, seq) for shard, seq, _, _, _ in rows]
    assert places == [(n // SHARD_SIZE, n % SHARD_SIZE + 1) for n in range(len(rows))]
    assert all(row[4] for row in rows)
    sizes = [min(SHARD_SIZE, len(rows) - start) for start in range(0, len(rows), SHARD_SIZE)]
    assert list(shards) == list(enumerate(sizes))
    assert total == (len(rows),)
    return [Recipient(str(row[2]), orjson.loads(row[3])) for row in rows]


async def fields_of(db: Database, campaign: int) -> list[str]:
    async with db.statement() as tx:
        row = await tx.one("SELECT fields FROM campaigns WHERE id = %s", (campaign,))
    assert row is not None
    names: list[str] = orjson.loads(row[0])
    return names


async def nothing_left(db: Database) -> bool:
    """No campaign, shard or recipient is in the database."""
    async with db.statement() as tx:
        counts = [
            await tx.one(f"SELECT COUNT(*) FROM {table}")
            for table in ("campaigns", "shards", "recipients")
        ]
    return counts == [(0,)] * 3


def rejects_in(path: Path) -> list[tuple[int, str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["line", "email", "reason"]
    return [(int(line), email, reason) for line, email, reason in rows[1:]]
