from __future__ import annotations

import os
from pathlib import Path

import pytest

from campaignd.compose.folder import read
from campaignd.errors import CampaignError


def test_what_took_a_files_place_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever its name was found to be before."""
    path = tmp_path / "a.html"
    os.mkfifo(path)
    monkeypatch.setattr(Path, "is_file", lambda _: True)
    writer = os.open(path, os.O_RDWR)
    try:
        os.write(writer, b"data")
        with pytest.raises(CampaignError, match="not a file"):
            read(path, "a.html", 3)
    finally:
        os.close(writer)


def test_a_fifo_or_a_folder_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", tmp_path):
        with pytest.raises(CampaignError, match="x: not a file"):
            read(path, "x", 3)


def test_no_more_is_read_than_tells_that_it_is_too_much(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"12345")
    assert read(path, "a", 3) == b"1234"
