"""The private Postfix itself: it comes and goes without a trace."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from campaignd.model import Outcome
from tests.fakes.jobs import make_job
from tests.fakes.loop import run
from tests.integration.net.pools import relay, rig
from tests.integration.postfix.arrivals import by_recipient
from tests.integration.postfix.instance import Postfix, running
from tests.integration.sandbox.leftovers import (
    DEADLINE,
    wait_for,
    wait_for_nothing_of,
)

PARENT = """
import sys
from tests.integration.postfix.instance import running
with running() as postfix:
    print(postfix.folder, postfix.pid, flush=True)
    sys.stdin.read()
"""


def send(postfix: Postfix, *seqs: int) -> None:
    async def main() -> None:
        async with rig(relay(postfix.port())) as r:
            jobs = [make_job(seq) for seq in seqs]
            assert await r.outcomes(*jobs) == [Outcome.ACCEPTED] * len(jobs)
            await r.pool.drain(5)

    run(main())


def test_what_it_took_is_there_after_a_restart_and_a_crash(postfix: Postfix) -> None:
    port = postfix.port()
    send(postfix, 1)
    postfix.restart()
    assert postfix.port() == port
    send(postfix, 2)
    postfix.crash()
    postfix.start()
    send(postfix, 3)
    found = by_recipient(postfix)
    assert sorted(found) == [f"user{n}@example.com" for n in (1, 2, 3)]
    assert found["user2@example.com"].sender == "news@acme.example"
    assert found["user2@example.com"].message.get_content() == "hello\n"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_nothing_stays_when_the_test_is_killed(number: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", PARENT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
        start_new_session=True,
    )
    with process:
        assert process.stdout is not None
        place, pid = process.stdout.readline().split()
        folder = Path(place)
        wait_for(lambda: len(group_of(int(pid))) > 2, "more than the master runs")
        process.send_signal(number)
        process.wait(DEADLINE)
        wait_for_nothing_of(folder)
        wait_for(lambda: not group_of(int(pid)), "its processes are gone")


def group_of(pid: int) -> list[str]:
    """Processes of the group that `pid` leads, which is all of Postfix."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            fields = (process / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == pid and fields[0] != "Z":
            found.append(process.name)
    return found


def test_the_systems_instance_is_not_touched() -> None:
    places = [Path(name) for name in ("/etc/postfix", "/var/spool/postfix", "/var/lib/postfix")]

    def picture() -> dict[Path, float]:
        files = (file for place in places for file in [place, *place.rglob("*")])
        return {file: file.lstat().st_mtime for file in files}

    before = picture()
    assert before
    with running() as postfix:
        send(postfix, 1)
        by_recipient(postfix)
        postfix.stop()
    assert picture() == before
