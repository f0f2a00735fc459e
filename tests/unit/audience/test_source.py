"""Files and streams: their format, their name, their fingerprint."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from campaignd.audience.csv_rows import CsvReader
from campaignd.audience.jsonl_rows import JsonlReader
from campaignd.audience.source import HEAD_OCTETS, FileSource, QuerySource, opened
from campaignd.errors import UsageError


@pytest.mark.parametrize(
    ("source", "reader"),
    [
        (FileSource("a.csv"), CsvReader),
        (FileSource("a"), CsvReader),
        (FileSource("-"), CsvReader),
        (FileSource("a.JSONL"), JsonlReader),
        (FileSource("a.ndjson"), JsonlReader),
        (FileSource("a.csv", "jsonl"), JsonlReader),
        (FileSource("a.jsonl", "csv"), CsvReader),
        (FileSource("-", "jsonl"), JsonlReader),
    ],
)
def test_format(source: FileSource, reader: type) -> None:
    assert type(source.reader([])) is reader


def test_labels() -> None:
    labels = [s.label for s in (FileSource("/x/y.csv"), FileSource("-"), QuerySource("SELECT 1"))]
    assert labels == ["y.csv", "stdin", "query"]


def read(path: Path, spec: bytes = b"spec") -> tuple[bytes, bytes, str]:
    async def main() -> tuple[bytes, bytes, str]:
        with opened(FileSource(str(path))) as data:
            await data.read_head()
            fingerprint = data.fingerprint(spec)
            pieces = []
            while piece := await data.read():
                pieces.append(piece)
            return data.head, b"".join(pieces), fingerprint

    return asyncio.run(main())


@pytest.mark.parametrize("size", [0, 1, HEAD_OCTETS, HEAD_OCTETS + 1, 3 * HEAD_OCTETS + 7])
def test_everything_is_read_once(tmp_path: Path, size: int) -> None:
    content = bytes(n % 251 for n in range(size))
    (tmp_path / "f").write_bytes(content)
    head, whole, _ = read(tmp_path / "f")
    assert head == content[:HEAD_OCTETS]
    assert whole == content


def test_fingerprint(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_bytes(b"a")
    first = read(file)[2]
    assert len(first) == 64
    assert read(file)[2] == first
    assert read(file, b"other")[2] != first
    file.write_bytes(b"b")
    assert read(file)[2] != first
    file.write_bytes(b"a" * HEAD_OCTETS + b"x")
    second = read(file)[2]
    file.write_bytes(b"a" * HEAD_OCTETS + b"xy")
    assert read(file)[2] != second


def test_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        read(tmp_path / "none")
    with pytest.raises(UsageError, match="is a directory"):
        read(tmp_path)
