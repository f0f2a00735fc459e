"""The rejects file: private, harmless, and exact when an enqueue is resumed."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest

from campaignd.audience.rejects import RejectsFile
from campaignd.audience.rows import Reject
from campaignd.errors import UsageError


def content(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def test_no_rejects_no_file(tmp_path: Path) -> None:
    file = RejectsFile(tmp_path / "r.csv")
    file.begin()
    file.add([])
    file.close()
    assert file.path is None
    assert not (tmp_path / "r.csv").exists()


def test_sorted_private_and_without_formulas(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text("old")
    file = RejectsFile(path)
    file.begin()
    old = os.umask(0)
    try:
        file.add([Reject(9, "=HYPERLINK(1)", "no, @"), Reject(2, "a\n\udcffb@", "bad")])
    finally:
        os.umask(old)
    file.close()
    assert path.stat().st_mode & 0o777 == 0o600
    assert file.path == path
    assert content(path) == [
        ["line", "email", "reason"],
        ["2", "a\n?b@", "bad"],
        ["9", "'=HYPERLINK(1)", "no, @"],
    ]


def test_resume_drops_what_was_not_committed(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    first = RejectsFile(path)
    first.begin()
    first.add([Reject(2, "=a", "x"), Reject(5, "b\nc", "y"), Reject(7, "c", "z")])
    first.close()
    with path.open("a") as file:
        file.write('8,"cut')
    second = RejectsFile(path)
    second.resume(5)
    second.add([Reject(7, "c", "z")])
    second.close()
    assert content(path)[1:] == [["2", "'=a", "x"], ["5", "b\nc", "y"], ["7", "c", "z"]]
    assert path.stat().st_mode & 0o777 == 0o600


def test_resume_without_a_file(tmp_path: Path) -> None:
    file = RejectsFile(tmp_path / "r.csv")
    file.resume(5)
    file.add([Reject(7, "c", "z")])
    file.close()
    assert content(tmp_path / "r.csv")[1:] == [["7", "c", "z"]]


def test_never_writes_through_a_link_or_into_something_else(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("precious")
    (tmp_path / "link").symlink_to(target)
    for path in (tmp_path / "link", tmp_path):
        with pytest.raises(UsageError, match="rejects file"):
            RejectsFile(path).begin()
        with pytest.raises(UsageError, match="rejects file"):
            RejectsFile(path).resume(1)
    assert target.read_text() == "precious"


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    file = RejectsFile(tmp_path / "none" / "r.csv")
    file.begin()
    with pytest.raises(UsageError, match="No such file"):
        file.add([Reject(1, "", "")])
