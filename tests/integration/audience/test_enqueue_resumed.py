"""Enqueue keys: killed enqueues go on exactly where they were, repeated ones report."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import orjson
import pytest

from campaignd.audience.feed import Report
from campaignd.audience.load import EnqueueResult, enqueue
from campaignd.audience.source import FileSource
from campaignd.errors import CampaignError, UsageError
from campaignd.model import CampaignState
from campaignd.store import audience, campaigns
from campaignd.store.db import Database

from .content import SPEC, audience_of, fields_of, nothing_left, rejects_in

Run = Callable[..., None]

CHILD = """
import asyncio, sys
from pathlib import Path
from campaignd.audience.load import enqueue
from campaignd.audience.source import FileSource
from campaignd.config import Config, MySQL
from campaignd.store.db import Database
from tests.integration.audience.content import SPEC

url, file, rejects = sys.argv[1:]

async def main():
    async with Database(Config(mysql=MySQL(url=url)).mysql_target()) as db:
        await enqueue(db, SPEC, FileSource(file), key="k", rejects_path=Path(rejects),
                      progress=lambda rows, octets: print(rows, flush=True))

asyncio.run(main())
"""

ROOT = Path(__file__).parents[3]


def kill_midway(url: str, file: Path, rejects: Path, rows: int) -> int:
    """Enqueues in a process that is killed once `rows` rows are reported; returns the count."""
    command = [sys.executable, "-c", CHILD, url, str(file), str(rejects)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as child:
        assert child.stdout is not None
        seen = 0
        for line in child.stdout:
            seen = int(line)
            if seen >= rows:
                child.send_signal(signal.SIGKILL)
                break
    assert child.returncode == -signal.SIGKILL
    return seen


def csv_file(path: Path) -> Path:
    """60,000 rows: some invalid, some duplicates nearby and far away, some over two lines."""
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write("first,email\n")
        for n in range(60_000):
            if n % 1_000 == 7:
                file.write(f"x,broken{n}\n")
            elif n % 500 == 9:
                file.write(f"again,user{n // 2}@example.com\n")
            elif n % 300 == 11:
                file.write(f'"two\nlines",user{n}@example.com\n')
            else:
                file.write(f"F{n},user{n}@Example.com\n")
    return path


def jsonl_file(path: Path) -> Path:
    with path.open("wb") as file:
        for n in range(40_000):
            row = {"email": f"user{n}@example.com", f"field{n // 9_000}": n}
            file.write(orjson.dumps(row) + b"\n" + (b"broken\n" if n % 777 == 0 else b""))
    return path


@pytest.mark.parametrize("make", [csv_file, jsonl_file])
def test_killed_twice_and_resumed(
    with_store: Run, database: str, tmp_path: Path, make: Callable[[Path], Path]
) -> None:
    async def work(db: Database) -> None:
        file = make(tmp_path / ("people.csv" if make is csv_file else "people.jsonl"))
        rejects = tmp_path / "killed.csv"
        done = 0
        for rows in (8_000, 20_000):
            done = await asyncio.to_thread(kill_midway, database, file, rejects, rows)
            existing = await campaigns.by_key(db, SPEC.account, "k")
            assert existing is not None
            assert existing.campaign.state is CampaignState.LOADING
            assert done <= existing.campaign.input_rows
        seen: list[int] = []
        resumed = await enqueue(
            db, SPEC, FileSource(str(file)), key="k", rejects_path=rejects,
            progress=lambda rows, _: seen.append(rows),
        )  # fmt: skip
        assert not resumed.existed
        assert min(seen) >= done
        plain = await enqueue(db, SPEC, FileSource(str(file)), rejects_path=tmp_path / "plain.csv")
        assert resumed[1:4] == plain[1:4]
        assert await audience_of(db, resumed.id) == await audience_of(db, plain.id)
        assert await fields_of(db, resumed.id) == await fields_of(db, plain.id)
        assert rejects_in(rejects) == rejects_in(tmp_path / "plain.csv")
        assert resumed.invalid > 0

    with_store(work)


def test_repeated_after_the_end_reports(with_store: Run, tmp_path: Path) -> None:
    async def work(db: Database) -> None:
        file = csv_file(tmp_path / "people.csv")

        async def again(**changes: object) -> EnqueueResult:
            spec = msgspec.structs.replace(SPEC, **changes)
            rejects = tmp_path / "r.csv"
            return await enqueue(db, spec, FileSource(str(file)), key="k", rejects_path=rejects)

        first = await again()
        await campaigns.pause(db, first.id, reason="paused")
        second = await again()
        assert second.existed
        assert second.state is CampaignState.PAUSED
        assert second[:4] == first[:4]
        with pytest.raises(
            UsageError, match=f"'k' belongs to campaign {first.id}, which has other"
        ):
            await again(subject="another")
        file.write_text("email\nother@example.com\n")
        with pytest.raises(UsageError, match="other content or recipients"):
            await again()
        assert (await again(account="other")).id != first.id
        assert len(await campaigns.page(db)) == 2

    with_store(work)


def test_two_at_once_with_one_key(with_store: Run, tmp_path: Path) -> None:
    async def work(db: Database) -> None:
        file = csv_file(tmp_path / "people.csv")

        async def one() -> EnqueueResult:
            rejects = tmp_path / "r.csv"
            return await enqueue(db, SPEC, FileSource(str(file)), key="k", rejects_path=rejects)

        results = await asyncio.gather(one(), one(), return_exceptions=True)
        made = [r for r in results if isinstance(r, EnqueueResult) and not r.existed]
        assert len(made) == 1
        for result in results:
            if result is not made[0]:
                # Depending on whether the first was done within the time that one waits.
                assert (isinstance(result, EnqueueResult) and result.existed) or (
                    isinstance(result, UsageError) and "under way" in str(result)
                )
        assert [found.id for found in await campaigns.page(db)] == [made[0].id]
        assert len(await audience_of(db, made[0].id)) == made[0].total

    with_store(work)


def test_the_second_is_told_if_the_first_takes_long(
    with_store: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audience, "LOCK_WAIT", 0)

    async def work(db: Database) -> None:
        file = csv_file(tmp_path / "people.csv")
        async with audience.exclusive(db, SPEC.account, "k"):
            with pytest.raises(UsageError, match="an enqueue with the key 'k' is under way"):
                await enqueue(db, SPEC, FileSource(str(file)), key="k")
            async with audience.exclusive(db, "other", "k"):
                pass
        async with audience.exclusive(db, SPEC.account, "k"):
            pass
        assert await nothing_left(db)

    with_store(work)


def test_a_key_whose_campaign_failed_may_be_used_again(with_store: Run, tmp_path: Path) -> None:
    async def work(db: Database) -> None:
        file = tmp_path / "people.csv"
        file.write_text("email\nnonsense\n")
        rejects = tmp_path / "r.csv"
        with pytest.raises(CampaignError, match="none of 1 rows"):
            await enqueue(db, SPEC, FileSource(str(file)), key="k", rejects_path=rejects)
        file.write_text("email\na@b.de\n")
        result = await enqueue(db, SPEC, FileSource(str(file)), key="k", rejects_path=rejects)
        assert (result.total, result.existed, result.rejects_path) == (1, False, None)
        assert not rejects.exists()

    with_store(work)


def test_a_stream_that_is_shorter_the_second_time(
    with_store: Run, database: str, tmp_path: Path
) -> None:
    """A pipe's size is not known beforehand; what is missing is noticed at its end."""

    async def work(db: Database) -> None:
        lines = ["email\n", *(f"user{n}@example.com\n" for n in range(60_000))]

        def interrupt(rows: int, _: int | None) -> None:
            if rows >= 10_000:
                loading.cancel()

        async def from_pipe(count: int, progress: Report | None = None) -> EnqueueResult:
            read_end, write_end = os.pipe()
            data = "".join(lines[:count]).encode()
            writing = asyncio.create_task(asyncio.to_thread(_write, write_end, data))
            source = FileSource(f"/dev/fd/{read_end}")
            try:
                return await enqueue(db, SPEC, source, key="k", progress=progress)
            finally:
                os.close(read_end)
                await writing

        loading = asyncio.create_task(from_pipe(60_001, interrupt))
        with pytest.raises(asyncio.CancelledError):
            await loading
        with pytest.raises(UsageError, match="shorter than when the same key"):
            await from_pipe(3_500)
        result = await from_pipe(60_001)
        assert result.total == 60_000
        assert len(await audience_of(db, result.id)) == 60_000

    with_store(work)


def _write(fd: int, data: bytes) -> None:
    try:
        with os.fdopen(fd, "wb") as pipe:
            pipe.write(data)
    except BrokenPipeError:
        pass
