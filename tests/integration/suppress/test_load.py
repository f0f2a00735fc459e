"""Imports into a real store: batches, repetition, outages, bad rows."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from campaignd.audience.source import FileSource
from campaignd.errors import StoreOutage, UsageError
from campaignd.model import SuppressionReason
from campaignd.store import patience, suppressions
from campaignd.store.db import Database
from campaignd.store.suppressions import Suppression
from campaignd.suppress import load as loading
from campaignd.suppress.export import HEADER, to_csv
from campaignd.suppress.load import Loaded, load
from campaignd.suppress.rows import Defaults

Run = Callable[..., None]
DEFAULTS = Defaults("email", SuppressionReason.IMPORTED)


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(loading, "BATCH_ROWS", 100)
    monkeypatch.chdir(tmp_path)


async def listed(db: Database, account: str) -> list[Suppression]:
    return [entry async for page in suppressions.pages(db, account) for entry in page]


def write(count: int, name: str = "list.csv") -> FileSource:
    rows = "".join(f"P{n}@b{n % 7}.example,bounced\n" for n in range(count))
    Path(name).write_text("email,reason\n" + rows)
    return FileSource(name)


def put(name: str, text: str) -> FileSource:
    Path(name).write_text(text)
    return FileSource(name)


def text_of(name: str) -> str:
    return Path(name).read_text()


def counts(loaded: Loaded) -> tuple[int, int, int]:
    return loaded.rows, loaded.added, loaded.rejected


def test_importing_again_adds_what_is_missing(with_store: Run) -> None:
    async def work(db: Database) -> None:
        seen: list[tuple[int, int | None]] = []
        done = await load(
            db, "acme", write(5_000), DEFAULTS, report=lambda *done: seen.append(done)
        )
        assert counts(done) == (5_000, 5_000, 0)
        assert done.rejects is None
        assert seen[-1] == (5_000, len(text_of("list.csv")))
        assert counts(await load(db, "acme", write(6_000), DEFAULTS)) == (6_000, 1_000, 0)
        entries = await listed(db, "acme")
        assert len(entries) == 6_000
        assert {entry.reason for entry in entries} == {SuppressionReason.BOUNCED}
        assert await listed(db, "other") == []

    with_store(work)


def test_bad_rows_go_to_a_file(with_store: Run) -> None:
    async def work(db: Database) -> None:
        source = put("list.txt", "a@b.example\nwrong\n=1@\nc@d.example\n")
        done = await load(db, "", source, DEFAULTS)
        assert counts(done) == (4, 2, 2)
        assert done.rejects == Path("list.txt.rejects.csv")
        assert text_of("list.txt.rejects.csv") == (
            "line,email,reason\n2,wrong,an address needs an @\n3,'=1@,nothing after the @\n"
        )

    with_store(work)


def test_an_export_imports_as_it_was(with_store: Run) -> None:
    async def work(db: Database) -> None:
        source = put(
            "list.csv",
            "email,domain,md5,sha256,reason,date,note\n"
            "=Anna@b.example,,,,complained,2026-01-02T03:04:05.678Z,=1+1\n"
            ",.b.example,,,manual,2026-01-02,\n"
            f",,{'0a' * 16},,imported,2026-01-02,\n"
            f",,,{'0b' * 32},imported,2026-01-02,\n",
        )
        await load(db, "one", source, DEFAULTS)
        entries = await listed(db, "one")
        assert len(entries) == 4
        exported = put("export.csv", (HEADER + to_csv(entries)).decode())
        assert "'=Anna@b.example" in text_of("export.csv")
        assert counts(await load(db, "two", exported, DEFAULTS)) == (4, 4, 0)
        assert await listed(db, "two") == entries

    with_store(work)


def test_an_outage_in_between_costs_nothing(
    with_store: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "PAUSE", 0.01)
    failures = [StoreOutage("away"), StoreOutage("away", ambiguous=True)]

    async def work(db: Database) -> None:
        statement = db.statement

        @asynccontextmanager
        async def failing(**options: Any) -> Any:
            async with statement(**options) as tx:
                yield tx
            if failures:  # it was carried out, and nobody got to know
                raise failures.pop()

        monkeypatch.setattr(db, "statement", failing)
        done = await load(db, "acme", write(5_000), DEFAULTS)
        assert not failures
        assert done.rows == len(await listed(db, "acme")) == 5_000

    with_store(work)


def test_a_store_that_stays_away_ends_it(with_store: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "PAUSE", 0.01)

    async def work(db: Database) -> None:
        @asynccontextmanager
        async def failing(**options: Any) -> Any:
            raise StoreOutage("away")
            yield

        monkeypatch.setattr(db, "statement", failing)
        with pytest.raises(StoreOutage):
            await load(db, "acme", write(20_000), DEFAULTS)

    with_store(work)


def test_what_cannot_be_read(with_store: Run) -> None:
    Path("folder").mkdir()

    async def work(db: Database) -> None:
        for name, reason in (("absent", "No such file"), ("folder", "is a directory")):
            with pytest.raises(UsageError, match=f"suppressions {name}: {reason}"):
                await load(db, "acme", FileSource(name), DEFAULTS)
        source = write(3)
        os.symlink("/dev/null", "list.csv.rejects.csv")
        with pytest.raises(UsageError, match="is not a plain file; use --rejects FILE"):
            await load(db, "acme", source, DEFAULTS)

    with_store(work)
