"""What people see who sit at a terminal."""

from __future__ import annotations

import os
import pty
import subprocess
from pathlib import Path

import pytest

from tests.e2e.site import COMMAND, PATIENCE, Site


def at_terminal(folder: Path, *argv: str) -> tuple[int, str]:
    """Runs a command with a terminal on all three streams; its status and what it showed."""
    ours, theirs = pty.openpty()
    try:
        environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "120", "LINES": "40"}
        process = subprocess.Popen(
            argv, cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs, env=environment
        )
    finally:
        os.close(theirs)
    shown = b""
    with process:
        while True:
            try:
                piece = os.read(ours, 65_536)
            except OSError:  # EIO: nobody has the other end open any more
                break
            if not piece:
                break
            shown += piece
        status = process.wait(PATIENCE)
    os.close(ours)
    return status, shown.decode()


@pytest.mark.timeout(90)
def test_a_campaign_from_start_to_end(site: Site) -> None:
    source = site.audience(5_000)
    words = ("--config", str(site.config))
    status, shown = at_terminal(
        site.folder, COMMAND, *words, "enqueue", site.campaign(), "--recipients", source
    )
    assert status == 0, shown
    assert "5,000 rows" in shown
    assert "campaign 1 is running" in shown
    site.daemon(site.configure(rate=3_000))
    status, shown = at_terminal(site.folder, COMMAND, *words, "status", "1", "--watch")
    assert status == 0, shown
    assert shown.count("campaign 1") > 1
    assert "finished" in shown
    assert "\x1b[" in shown
    status, shown = at_terminal(site.folder, COMMAND, *words, "status")
    assert status == 0
    assert "100 %" in shown


@pytest.mark.timeout(90)
def test_the_demo(tmp_path: Path) -> None:
    status, shown = at_terminal(tmp_path, COMMAND, "demo", "--count", "300")
    assert status == 0, shown
    assert "300/300" in shown
    assert "agree: each of" in shown
