"""Postfix's limits on what one client may do (anvil): they cost time and no message."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import pytest

from campaignd.model import Outcome
from tests.fakes.jobs import make_job
from tests.fakes.loop import run
from tests.integration.net.pools import relay, rig
from tests.integration.postfix.arrivals import by_recipient
from tests.integration.postfix.instance import PLAIN, Postfix, running

COUNT = 200

LIMITS: dict[str, tuple[dict[str, str], dict[str, Any], str]] = {
    "connections at once": (
        {"smtpd_client_connection_count_limit": "2"},
        {"connections": 12},
        "Connection concurrency limit exceeded",
    ),
    "connections a second": (
        {"smtpd_client_connection_rate_limit": "4"},
        {"connections": 3, "messages_per_connection": 25},
        "Connection rate limit exceeded",
    ),
}
"""Settings of Postfix and of the relay, and what Postfix logs."""


@pytest.mark.parametrize("limit", LIMITS)
def test_connections_that_are_refused_cost_time_and_no_message(limit: str) -> None:
    settings, ours, logged = LIMITS[limit]
    with limited(settings) as postfix:

        async def main() -> None:
            async with rig(relay(postfix.port(), **ours)) as r:
                jobs = [make_job(n) for n in range(COUNT)]
                assert await r.outcomes(*jobs) == [Outcome.ACCEPTED] * COUNT
                await r.pool.drain(5)

        run(main())
        assert postfix.logged(logged)
        assert len(by_recipient(postfix)) == COUNT


@pytest.mark.parametrize("counted", ["message", "recipient"])
def test_messages_that_are_too_many_are_deferred_and_none_is_lost(counted: str) -> None:
    """Postfix does not close (421) over these two limits, but answers 450 to each message."""
    settings = {f"smtpd_client_{counted}_rate_limit": "20", "smtpd_hard_error_limit": "10"}
    with limited(settings) as postfix:

        async def main() -> set[str]:
            async with rig(relay(postfix.port(), connections=2)) as r:
                jobs = [make_job(n) for n in range(60)]
                await r.send(*jobs)
                await r.pool.drain(5)
                refused = [v for v in r.reports.verdicts.values() if v.code != 250]
                assert refused
                assert {v[:3] for v in refused} == {(Outcome.DEFERRED, 450, "4.7.1")}
                return {
                    job.recipient.decode()
                    for job in jobs
                    if r.reports.verdicts[job.seq].outcome is Outcome.ACCEPTED
                }

        accepted = run(main())
        assert set(by_recipient(postfix)) == accepted
        assert postfix.logged("too many errors") == []


def limited(settings: dict[str, str]) -> AbstractContextManager[Postfix]:
    return running(PLAIN, {**settings, "anvil_rate_time_unit": "1s"})
