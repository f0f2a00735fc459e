"""Against Postfix's smtp-sink, as benchmarks use it."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator

import pytest

from campaignd.model import Outcome
from tests.fakes.jobs import make_job
from tests.fakes.loop import run
from tests.integration.net.pools import relay, rig

SINK = shutil.which(
    "smtp-sink", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/libexec/postfix"
)


@contextlib.contextmanager
def sink(*options: str) -> Iterator[int]:
    """Runs one; gives its port."""
    assert SINK, "smtp-sink comes with Postfix: apt install postfix"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    process = subprocess.Popen([SINK, *user, *options, f"127.0.0.1:{port}", "100"])
    try:
        end = time.monotonic() + 10
        while time.monotonic() < end:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
        yield port
    finally:
        process.terminate()
        process.wait(10)


@pytest.mark.parametrize(
    "options",
    [(), ("-p",), ("-e",), ("-8",)],
    ids=["pipelined", "no PIPELINING", "no ESMTP", "no 8BITMIME"],
)
def test_messages_arrive(options: tuple[str, ...]) -> None:
    async def main() -> None:
        with sink(*options) as port:
            async with rig(relay(port, connections=10)) as r:
                jobs = [make_job(seq, message=b"x\r\n" * 1_500 + b".\r\n") for seq in range(300)]
                assert await r.outcomes(*jobs) == [Outcome.ACCEPTED] * 300
                assert r.pool.eight_bit == (options in ((), ("-p",)))
                await r.pool.drain(5)

    run(main())


@pytest.mark.parametrize("command", ["mail", "rcpt", "data", "."])
def test_soft_and_hard_refusals(command: str) -> None:
    async def main() -> None:
        for option, outcome in (("-r", Outcome.DEFERRED), ("-f", Outcome.REJECTED)):
            with sink(option, command) as port:
                async with rig(relay(port, connections=3)) as r:
                    jobs = [make_job(seq) for seq in range(10)]
                    assert await r.outcomes(*jobs) == [outcome] * 10

    run(main())


def test_a_sink_that_hangs_up() -> None:
    async def main() -> None:
        with sink("-q", "data") as port:  # disconnects when it gets DATA
            async with rig(relay(port, connections=3)) as r:
                (verdict,) = await r.send(make_job(1))
                assert verdict.outcome is Outcome.DEFERRED

    run(main())
