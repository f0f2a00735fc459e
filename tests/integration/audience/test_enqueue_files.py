"""Enqueueing files and streams: what is stored, what is rejected, what is refused."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import orjson
import pytest

from campaignd.audience.load import EnqueueResult, enqueue
from campaignd.audience.prepare import DUPLICATE
from campaignd.audience.source import FileSource
from campaignd.compose.spec import CampaignSpec
from campaignd.errors import CampaignError, TemplateError, UsageError
from campaignd.model import SHARD_SIZE, CampaignState
from campaignd.store import campaigns
from campaignd.store.db import Database

from .content import SPEC, Recipient, audience_of, fields_of, nothing_left, rejects_in

Run = Callable[..., None]
NOW = 1_800_000_000.0


async def enqueue_bytes(
    db: Database, tmp_path: Path, data: bytes, *, name: str = "people.csv",
    spec: CampaignSpec = SPEC, draft: bool = False, at: float | None = None,
) -> EnqueueResult:  # fmt: skip
    file = tmp_path / name
    file.write_bytes(data)
    return await enqueue(
        db, spec, FileSource(str(file)), draft=draft, at=at,
        rejects_path=tmp_path / "rejects.csv", clock=lambda: NOW,
    )  # fmt: skip


def test_csv(with_store: Run, tmp_path: Path) -> None:
    async def work(db: Database) -> None:
        data = (
            (
                "\ufefffirst,Email,note\n"
                'Anna,a@B.de,it\'s \\ "fine"\n'
                'Béa,ü@exämple.de,"two\nlines"\n'
                "Carl,nonsense,x\n"
                "Dora,a@b.de,again\n"
                "Eve,o'hara@b.de,😀\n"
            )
            .replace('it\'s \\ "fine"', '"it\'s \\ ""fine"""')
            .encode()
        )
        result = await enqueue_bytes(db, tmp_path, data)
        assert result[1:7] == (3, 1, 1, CampaignState.RUNNING, False, tmp_path / "rejects.csv")
        assert await audience_of(db, result.id) == [
            Recipient("a@b.de", ["Anna", 'it\'s \\ "fine"']),
            Recipient("ü@xn--exmple-cua.de", ["Béa", "two\nlines"]),
            Recipient("o'hara@b.de", ["Eve", "😀"]),
        ]
        assert await fields_of(db, result.id) == ["first", "note"]
        assert rejects_in(tmp_path / "rejects.csv") == [
            (5, "nonsense", "an address needs an @"),
            (6, "a@b.de", DUPLICATE),
        ]
        found = await campaigns.get(db, result.id)
        assert (found.started_at, found.input_rows) == (NOW, 5)

    with_store(work)


def test_json_lines_with_growing_fields(with_store: Run, tmp_path: Path) -> None:
    async def work(db: Database) -> None:
        rows = [{"email": f"u{n}@b.de", "first": n} for n in range(5_000)]
        rows += [{"late": True, "email": "last@b.de"}]
        data = b"\n".join(map(orjson.dumps, rows))
        result = await enqueue_bytes(db, tmp_path, data, name="people.jsonl")
        assert (result.total, result.rejects_path) == (5_001, None)
        assert not (tmp_path / "rejects.csv").exists()
        found = await audience_of(db, result.id)
        assert found[4_999:] == [
            Recipient("u4999@b.de", [4999]),
            Recipient("last@b.de", [None, True]),
        ]
        assert await fields_of(db, result.id) == ["first", "late"]

    with_store(work)


def test_duplicates_far_apart_leave_no_gap(with_store: Run, tmp_path: Path) -> None:
    async def work(db: Database) -> None:
        numbers = [*range(SHARD_SIZE + 500), *range(0, SHARD_SIZE, 7), *range(20_000, 23_000), 5]
        data = "email\n" + "".join(f"user{n}@example.com\n" for n in numbers)
        result = await enqueue_bytes(db, tmp_path, data.encode())
        expected = list(dict.fromkeys(f"user{n}@example.com" for n in numbers))
        assert [found.address for found in await audience_of(db, result.id)] == expected
        assert result.duplicates == len(numbers) - len(expected)
        rejects = rejects_in(tmp_path / "rejects.csv")
        assert [line for line, _, _ in rejects] == sorted(line for line, _, _ in rejects)
        assert len(rejects) == result.duplicates

    with_store(work)


@pytest.mark.parametrize(
    ("at", "draft", "state", "started"),
    [
        (None, False, CampaignState.RUNNING, NOW),
        (None, True, CampaignState.DRAFT, None),
        (NOW + 60, False, CampaignState.SCHEDULED, None),
        (NOW - 60, False, CampaignState.RUNNING, NOW),
    ],
)
def test_states(
    with_store: Run, tmp_path: Path, at: float | None, draft: bool, state: CampaignState,
    started: float | None,
) -> None:  # fmt: skip
    async def work(db: Database) -> None:
        result = await enqueue_bytes(db, tmp_path, b"email\na@b.de", draft=draft, at=at)
        found = await campaigns.get(db, result.id)
        assert (result.state, found.state) == (state, state)
        assert (found.starts_at, found.started_at) == (at, started)

    with_store(work)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the input is empty"),
        (b"name\nAnna\n", "needs a column `email`"),
        (b"email,first\n", "none of 0 rows is a valid recipient"),
        (b"email,first\nnonsense,x\n@,y\n", "none of 2 rows is a valid recipient; see .*rejects"),
        (b"email,first\n" + b"x,y\n" * 30_000, "none of 30000 rows"),
    ],
)
def test_what_cannot_be_sent_leaves_nothing(
    with_store: Run, tmp_path: Path, data: bytes, message: str
) -> None:
    async def work(db: Database) -> None:
        with pytest.raises(UsageError, match=message):
            await enqueue_bytes(db, tmp_path, data)
        assert await nothing_left(db)

    with_store(work)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("{{ nobody }}", TemplateError),
        ("{% if %}", TemplateError),
        ("{{ first | nofilter }}", TemplateError),
        ("{{ 1 // first }}", CampaignError),
    ],
)
def test_a_template_is_tried_before_anything_is_stored(
    with_store: Run, tmp_path: Path, text: str, error: type[Exception]
) -> None:
    async def work(db: Database) -> None:
        spec = msgspec.structs.replace(SPEC, text=text)
        with pytest.raises(error):
            await enqueue_bytes(db, tmp_path, b"email,first\na@b.de,x\n", spec=spec)
        assert await nothing_left(db)

    with_store(work)


def test_a_template_is_tried_even_if_valid_rows_come_late(with_store: Run, tmp_path: Path) -> None:
    async def work(db: Database) -> None:
        spec = msgspec.structs.replace(SPEC, text="{{ 1 // first }}")
        data = b"email,first\n" + b"nonsense,x\n" * 20_000 + b"a@b.de,x\n"
        with pytest.raises(CampaignError):
            await enqueue_bytes(db, tmp_path, data, spec=spec)
        assert await nothing_left(db)

    with_store(work)


def test_one_recipient_without_a_field_is_no_fault_of_the_campaign(
    with_store: Run, tmp_path: Path
) -> None:
    async def work(db: Database) -> None:
        spec = msgspec.structs.replace(SPEC, text="{{ city }}")
        data = b'{"email":"a@b.de"}\n{"email":"b@b.de","city":"Ulm"}\n'
        result = await enqueue_bytes(db, tmp_path, data, name="p.jsonl", spec=spec)
        assert result.total == 2

    with_store(work)


def test_files_that_cannot_be_read(with_store: Run, tmp_path: Path) -> None:
    async def work(db: Database) -> None:
        for path, message in ((tmp_path / "none", "No such file"), (tmp_path, "directory")):
            with pytest.raises(UsageError, match=message):
                await enqueue(db, SPEC, FileSource(str(path)))
        with pytest.raises(UsageError, match="empty"):
            await enqueue(db, SPEC, FileSource("/dev/null"))
        assert await nothing_left(db)

    with_store(work)


def test_a_pipe_that_is_slow(with_store: Run, tmp_path: Path) -> None:
    """A pipe is read while it is written; waiting for it does not block the loop."""

    async def work(db: Database) -> None:
        read_end, write_end = os.pipe()
        turns = 0

        def write() -> None:
            with os.fdopen(write_end, "wb") as pipe:
                pipe.write(b"email,first\n")
                for n in range(30_000):
                    pipe.write(b"user%d@example.com,x\n" % n)

        async def count() -> None:
            nonlocal turns
            while True:
                await asyncio.sleep(0.001)
                turns += 1
                if turns == 20:
                    writer.start()

        writer = threading.Thread(target=write)
        counting = asyncio.create_task(count())
        result = await enqueue(db, SPEC, FileSource(f"/dev/fd/{read_end}"))
        counting.cancel()
        writer.join()
        os.close(read_end)
        assert turns >= 20
        assert len(await audience_of(db, result.id)) == 30_000

    with_store(work)


def test_progress_is_reported(with_store: Run, tmp_path: Path) -> None:
    async def work(db: Database) -> None:
        file = tmp_path / "people.csv"
        file.write_text("email\n" + "".join(f"user{n}@example.com\n" for n in range(20_000)))
        seen: list[tuple[int, int | None]] = []
        await enqueue(
            db,
            SPEC,
            FileSource(str(file)),
            progress=lambda rows, octets: seen.append((rows, octets)),
        )
        assert len(seen) > 3
        assert seen == sorted(seen)
        assert seen[-1] == (20_000, file.stat().st_size)

    with_store(work)


def test_cancelled_by_someone_while_loading(with_store: Run, tmp_path: Path) -> None:
    async def work(db: Database) -> None:
        file = tmp_path / "people.csv"
        file.write_text("email\n" + "".join(f"user{n}@example.com\n" for n in range(50_000)))
        cancelling: list[asyncio.Task[campaigns.Campaign]] = []

        def progress(rows: int, octets: int | None) -> None:
            if not cancelling:
                cancelling.append(asyncio.create_task(campaigns.cancel(db, 1, NOW)))

        with pytest.raises(UsageError, match="campaign 1 was cancelled"):
            await enqueue(db, SPEC, FileSource(str(file)), progress=progress)
        assert (await cancelling[0]).state is CampaignState.CANCELLED
        assert await audience_of(db, 1) == []

    with_store(work)


def test_interrupted_without_a_key_leaves_nothing(with_store: Run, tmp_path: Path) -> None:
    async def work(db: Database) -> None:
        file = tmp_path / "people.csv"
        file.write_text("email\n" + "".join(f"user{n}@example.com\n" for n in range(50_000)))
        loading: list[asyncio.Task[EnqueueResult]] = []
        loading.append(
            asyncio.create_task(
                enqueue(
                    db,
                    SPEC,
                    FileSource(str(file)),
                    progress=lambda rows, _: loading[0].cancel() and None,
                )
            )
        )
        with pytest.raises(asyncio.CancelledError):
            await loading[0]
        assert await nothing_left(db)

    with_store(work)


def test_at_and_draft_and_keys_are_checked(with_store: Run, tmp_path: Path) -> None:
    async def work(db: Database) -> None:
        source = FileSource(str(tmp_path / "none"))
        with pytest.raises(UsageError, match="not both"):
            await enqueue(db, SPEC, source, at=NOW, draft=True)
        with pytest.raises(UsageError, match="two years"):
            await enqueue(db, SPEC, source, at=NOW + 1e9, clock=lambda: NOW)
        for key in ("", " a", "x" * 129):
            with pytest.raises(UsageError, match="--key"):
                await enqueue(db, SPEC, source, key=key)

    with_store(work)
