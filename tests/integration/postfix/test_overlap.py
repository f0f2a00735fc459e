"""Round trips of one session to a real Postfix at the end of a long line, by form of dialogue."""

from __future__ import annotations

from typing import Any

import pytest

from campaignd.model import Outcome
from campaignd.net import connect, session
from tests.fakes.jobs import make_job
from tests.fakes.loop import run
from tests.integration.net.pools import relay, rig
from tests.integration.postfix.arrivals import by_recipient
from tests.integration.postfix.instance import Postfix
from tests.integration.postfix.line import line

ONE_WAY = 0.025
"""Seconds; so that a round trip takes 50 ms."""

COUNT = 20
HANDSHAKE = 1
"""Round trips: EHLO's."""

BODY = b"Subject: hello\r\n\r\n" + (b"x" * 70 + b"\r\n") * 55 + b".\r\n"
"""4 KB, as the usual message has."""


@pytest.mark.parametrize(("form", "trips"), [("overlapped", 1), ("pipelined", 2), ("lockstep", 4)])
def test_round_trips(
    postfix: Postfix, monkeypatch: pytest.MonkeyPatch, form: str, trips: int
) -> None:
    """Overlapping is a fourth of the way of a client that waits for every reply."""
    # The kernel measures the way to the line's near end: leave that to EHLO.
    monkeypatch.setattr(connect, "_TCP_INFO", None)
    settings: dict[str, Any] = {"pipelining": form != "lockstep", "connections": 1}
    if form != "overlapped":
        monkeypatch.setattr(session, "OVERLAP_RTT_SECONDS", 1e9)

    async def main() -> int:
        jobs = [make_job(n, message=BODY) for n in range(COUNT)]
        async with (
            line(postfix.port(), ONE_WAY) as long,
            rig(relay(long.port, **settings)) as r,
        ):
            assert await r.outcomes(*jobs) == [Outcome.ACCEPTED] * COUNT
            turns = long.turns
            await r.pool.drain(5)
            return turns

    alone = 1 if form == "overlapped" else 0  # the commands of the first message
    assert run(main()) == HANDSHAKE + alone + trips * COUNT
    found = by_recipient(postfix)
    assert len(found) == COUNT
    assert {one.message.get_content() for one in found.values()} == {("x" * 70 + "\n") * 55}


def test_overlapping_without_a_line_in_between(
    postfix: Postfix, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Postfix gets the bodies and the next commands in one piece, many times over."""
    monkeypatch.setattr(session, "OVERLAP_RTT_SECONDS", 0.0)

    async def main() -> None:
        jobs = [make_job(n) for n in range(200)]
        async with rig(relay(postfix.port(), connections=2)) as r:
            assert await r.outcomes(*jobs) == [Outcome.ACCEPTED] * len(jobs)
            await r.pool.drain(5)

    run(main())
    found = by_recipient(postfix)
    assert {address: str(one.message["Subject"]) for address, one in found.items()} == {
        f"user{n}@example.com": str(n) for n in range(200)
    }
