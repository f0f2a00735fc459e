"""Finds what a sandbox might have left: processes that name its folder, and the folder."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

DEADLINE = 20.0
"""Seconds; what is waited for takes a fraction of one on an idle machine."""


def processes_of(folder: Path) -> list[str]:
    """The command lines of processes that name a folder, zombies excepted."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if str(folder) in command:
            found.append(f"{process.name} {command}")
    return found


def wait_for(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, f"not within {DEADLINE:g} s: {what}"
        time.sleep(0.01)


def wait_for_nothing_of(folder: Path) -> None:
    """Until neither a process nor a file is left."""
    wait_for(
        lambda: not folder.exists() and not processes_of(folder),
        f"{folder} gone; left are {processes_of(folder)}",
    )
