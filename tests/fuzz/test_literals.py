"""Text in SQL literals, through a real server and back."""

from __future__ import annotations

import asyncio
import random

import orjson

from campaignd.config import Config, MySQL
from campaignd.store.audience import Recipient, insert_statement
from campaignd.store.db import Database
from campaignd.store.sql.literal import escape
from tests.fuzz import nasty
from tests.fuzz.choices import Choices

SEED = 1
_SQL = (
    "'",
    "\\",
    "\\'",
    "''",
    "' OR 1=1 -- ",
    "%s",
    "%",
    ";",
    "/*",
    "\x1a",
    "\0",
    '"',
    "`",
    "?",
    "{",
)


def _texts(count: int) -> list[str]:
    chance = random.Random(SEED)
    texts = []
    for _ in range(count):
        text = nasty.text(Choices(chance.randbytes(60)), 4)
        text += "".join(chance.choices(_SQL, k=chance.randint(0, 4)))
        texts.append(text.encode("utf-8", "replace").decode())
    return texts


def test_a_literal_means_its_text(database: str) -> None:
    async def main() -> None:
        texts = [*_SQL, *_texts(2_000)]
        async with (
            Database(Config(mysql=MySQL(url=database)).mysql_target(), connections=1) as db,
            db.transaction() as tx,
        ):
            for at in range(0, len(texts), 500):
                some = texts[at : at + 500]
                literals = ",".join(f"'{escape(text)}'" for text in some)
                assert await tx.one(f"SELECT {literals}") == tuple(some)

    asyncio.run(main())


def test_recipients_come_back_as_they_were(database: str) -> None:
    async def main() -> None:
        recipients: list[Recipient] = [
            (number, number.to_bytes(16, "big"), f"{text[:60]}@x.example", orjson.dumps([text]))
            for number, text in enumerate(_texts(1_000))
        ]
        async with (
            Database(Config(mysql=MySQL(url=database)).mysql_target(), connections=1) as db,
            db.transaction() as tx,
        ):
            await tx.execute(insert_statement(1, 0, recipients))
            rows = await tx.fetch(
                "SELECT address_key, address, fields FROM recipients ORDER BY shard, seq"
            )
        assert [(key, address, orjson.loads(fields)) for key, address, fields in rows] == [
            (key, address, orjson.loads(fields)) for _, key, address, fields in recipients
        ]

    asyncio.run(main())
