"""However a sandbox's parent ends, nothing of it stays: neither processes nor files."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from campaignd.sandbox.box import Sandbox
from tests.integration.sandbox.leftovers import (
    DEADLINE,
    processes_of,
    wait_for,
    wait_for_nothing_of,
)

PARENT = """
import json, os, signal, sys, time
from campaignd.sandbox.box import Sandbox
from campaignd.sandbox.sinkprocess import SinkProcess
signal.signal(signal.SIGINT, signal.default_int_handler)
with Sandbox() as box, SinkProcess(supervisor=box.supervisor) as sink, SinkProcess() as other:
    box.redis.freeze()
    sink.freeze()
    fork = 0
    if "fork" in sys.argv and (fork := os.fork()) == 0:
        time.sleep(600)
    facts = {"folder": str(box.folder), "other": str(other.log.parent), "fork": fork,
             "reaper": box.supervisor.reaper_pid, "uid": os.getuid()}
    print(json.dumps(facts), flush=True)
    sys.stdin.read()
"""


@contextmanager
def parent(*arguments: str, prefix: Sequence[str] = ()) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [*prefix, sys.executable, "-c", PARENT, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        cwd=Path(__file__).parents[3],
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def facts_of(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    facts: dict[str, Any] = json.loads(process.stdout.readline())
    assert len(processes_of(Path(facts["folder"]))) == 3  # MariaDB, Redis, sink
    return facts


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_to_the_parents_process_group(number: signal.Signals, place: Path) -> None:
    """SIGINT is what Ctrl-C sends, to all of the terminal's foreground processes."""
    with parent() as process:
        facts = facts_of(process)
        os.killpg(process.pid, number)
        process.wait(DEADLINE)
        for folder in (facts["folder"], facts["other"]):
            wait_for_nothing_of(Path(folder))
        wait_for(lambda: not processes_of(place), "no reapers")


def test_the_usual_end(place: Path) -> None:
    with parent() as process:
        facts = facts_of(process)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(DEADLINE) == 0
        assert not Path(facts["folder"]).exists()
        assert processes_of(place) == []


def test_ctrl_c_while_starting(place: Path) -> None:
    with parent() as process:
        wait_for(lambda: list(place.glob("*/mysql")), "the data directory's copy has begun")
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(DEADLINE) != 0
        wait_for(lambda: os.listdir(place) == [] and not processes_of(place), "nothing left")


def test_a_fork_that_lives_on_does_not_keep_it_alive(place: Path) -> None:
    with parent("fork") as process:
        facts = facts_of(process)
        try:
            process.kill()
            process.wait(DEADLINE)
            wait_for_nothing_of(Path(facts["folder"]))
            os.kill(facts["fork"], 0)  # still there
        finally:
            os.kill(facts["fork"], signal.SIGKILL)
        wait_for_nothing_of(Path(facts["other"]))


def test_the_reaper_is_killed(place: Path) -> None:
    """The kernel ends the servers, frozen ones too, and the parent removes the folder."""
    with parent() as process:
        facts = facts_of(process)
        folder = Path(facts["folder"])
        os.kill(facts["reaper"], signal.SIGKILL)
        wait_for(lambda: not processes_of(folder), "servers gone")
        assert folder.exists()
        assert process.stdin is not None
        process.stdin.close()
        process.wait(DEADLINE)
        assert not folder.exists()
        wait_for_nothing_of(Path(facts["other"]))


def test_both_are_killed_and_the_next_one_cleans_up(place: Path) -> None:
    with parent() as process:
        facts = facts_of(process)
        folder = Path(facts["folder"])
        os.kill(process.pid, signal.SIGSTOP)
        os.kill(facts["reaper"], signal.SIGKILL)
        process.kill()
        process.wait(DEADLINE)
    wait_for(lambda: not processes_of(place), "processes gone")
    assert folder.exists()
    with Sandbox() as box, Sandbox() as second:
        assert not folder.exists()
        assert box.folder.exists()  # not taken for an abandoned one
        assert second.folder.exists()


def as_nobody() -> list[str]:
    """What runs our interpreter as a normal user, who may not be able to read it otherwise."""
    plain = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    with_reading = [*plain, "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    for prefix in (plain, with_reading):
        again = "import subprocess, sys; subprocess.run([sys.executable, '-V'], check=True)"
        command = [*prefix, sys.executable, "-c", again]
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            return prefix
    pytest.skip("another user cannot run this interpreter")


@pytest.mark.skipif(os.geteuid() != 0, reason="runs as a normal user already")
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv")
@pytest.mark.parametrize("home", ["own", "none"])
def test_as_a_normal_user(home: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    own = place / "home"
    monkeypatch.setenv("HOME", str(own) if home == "own" else "/nonexistent")
    own.mkdir()
    os.chown(own, 65534, 65534)
    with parent(prefix=as_nobody()) as process:
        facts = facts_of(process)
        folder = Path(facts["folder"])
        assert facts["uid"] == folder.stat().st_uid == 65534
        process.kill()
        process.wait(DEADLINE)
        wait_for_nothing_of(folder)
        wait_for_nothing_of(Path(facts["other"]))
    assert (own / ".cache" / "campaignd").exists() == (home == "own")
    shutil.rmtree(own)
