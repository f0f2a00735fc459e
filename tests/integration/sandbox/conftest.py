"""A place of its own for each test's sandbox, with a short path for the sockets' sake."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The temporary folder of this process and its children; must be empty in the end.

    Comes after `tmp_path`, lest pytest puts its own folder here.
    """
    folder = Path(tempfile.mkdtemp(prefix="cd-"))
    folder.chmod(0o777)  # for other users too
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    yield folder
    left = os.listdir(folder)
    shutil.rmtree(folder)
    assert left == []
