"""The demo, small: it ends by itself, agrees with itself, and leaves nothing."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import dkim
import pytest

from campaignd.config import load
from campaignd.dkim import load_keys
from tests.e2e.site import COMMAND, PATIENCE


def environment(folder: Path) -> dict[str, str]:
    """No configuration anywhere, and a temporary folder of its own."""
    kept = {name: value for name, value in os.environ.items() if name != "CAMPAIGND_CONFIG"}
    return {**kept, "TMPDIR": str(folder)}


@pytest.fixture
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Short, because sockets lie in it."""
    return tmp_path_factory.mktemp("d")


def test_it_proves_that_ledger_and_sink_agree(scratch: Path) -> None:
    done = subprocess.run(
        [COMMAND, "demo", "--count", "600"],
        env=environment(scratch),
        cwd=scratch,
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "The ledger and the sink agree" in done.stdout
    assert "Subject: " in done.stdout
    assert "finished" in done.stdout
    assert "0 errors, 1 warning" in done.stdout
    for reason in ("unsubscribed", "bounced"):
        assert re.search(rf"^\S+@\S+ +{reason} +", done.stdout, re.MULTILINE)
    assert list(scratch.iterdir()) == []


def test_keep_leaves_its_files(scratch: Path) -> None:
    done = subprocess.run(
        [COMMAND, "demo", "--count", "100", "--keep"],
        env=environment(scratch),
        cwd=scratch,
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    [folder] = scratch.iterdir()
    assert str(folder) in done.stdout
    names = {file.name for file in folder.iterdir()}
    assert {"spring.toml", "spring.html", "recipients.csv", "rejects.csv", "sink.jsonl"} <= names
    for name in ("s1.pem", "e1.pem", "links.key"):
        assert (folder / name).stat().st_mode & 0o777 == 0o600
    records = {
        f"{key.name}.".encode(): key.record.encode()
        for key in load_keys(load(folder / "config.toml")).keys
    }
    message = (folder / "message.eml").read_bytes()
    assert dkim.DKIM(message).verify(0, dnsfunc=lambda name, timeout=0: records.get(name))


def test_an_interrupt_leaves_nothing(scratch: Path) -> None:
    with subprocess.Popen(
        [COMMAND, "demo", "--count", "200000"],
        env=environment(scratch),
        cwd=scratch,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "enqueue" in line:
                break
        os.killpg(process.pid, signal.SIGINT)
        _, error = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert "Traceback" not in error
    deadline = time.monotonic() + PATIENCE
    while list(scratch.iterdir()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
