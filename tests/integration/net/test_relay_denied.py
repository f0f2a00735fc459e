"""Relays that do not carry our mail: nobody is rejected for it; another relay does the work."""

from __future__ import annotations

import asyncio

from campaignd.model import Outcome
from campaignd.smtp.classify import MAX_RETURNS
from tests.fakes.jobs import make_job
from tests.fakes.relay import FakeRelay, Say
from tests.integration.net.pools import relay, rig

DENIED = Say(b"554 5.7.1 <user@example.com>: Relay access denied")


def test_the_other_relay_does_the_work() -> None:
    async def main() -> None:
        async with FakeRelay({"RCPT": DENIED}) as bad, FakeRelay() as good:
            relays = [
                relay(bad.port, name="bad", connections=2),
                relay(good.port, name="good", connections=2),
            ]
            jobs = [make_job(seq) for seq in range(200)]
            async with rig(relays) as under_test:
                assert set(await under_test.outcomes(*jobs)) == {Outcome.ACCEPTED}
                status = {one.name: one for one in under_test.pool.relays()}
            assert status["bad"].state != "up"
            assert status["bad"].last_error == "554 5.7.1 <...> Relay access denied"
            assert len(good.received) == len(jobs)

    asyncio.run(main())


def test_with_no_other_relay_its_jobs_are_deferred_in_the_end() -> None:
    async def main() -> None:
        async with FakeRelay({"RCPT": DENIED}) as bad:
            async with rig(relay(bad.port, connections=1)) as under_test:
                [verdict] = await under_test.send(make_job(1))
                assert verdict.outcome is Outcome.DEFERRED
                assert verdict.code == 554
            assert bad.connections == MAX_RETURNS + 1

    asyncio.run(main())


def test_one_recipient_does_not_stop_a_relay_that_works() -> None:
    async def main() -> None:
        answers = [Say(b"250 2.1.5 Ok"), DENIED, Say(b"250 2.1.5 Ok")]
        async with FakeRelay({"RCPT": answers}) as one:
            async with rig(relay(one.port, connections=1)) as under_test:
                outcomes = await under_test.outcomes(*(make_job(seq) for seq in range(5)))
                [status] = under_test.pool.relays()
            assert sorted(outcomes) == [Outcome.DEFERRED, *[Outcome.ACCEPTED] * 4]
            assert (status.state, one.connections) == ("up", 1)

    asyncio.run(main())
