"""What the pool opens, uses and closes, against scripted relays on loopback."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest

from campaignd.config import Config
from campaignd.model import Outcome
from campaignd.net import health, pool
from campaignd.net.lane import RelayStatus
from tests.fakes.jobs import make_job
from tests.fakes.loop import run, until
from tests.fakes.relay import Close, FakeRelay, Say, Stall
from tests.integration.net.pools import Rig, relay, rig

ACCEPTED, DEFERRED, UNKNOWN = Outcome.ACCEPTED, Outcome.DEFERRED, Outcome.UNKNOWN


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "FIRST_DELAY_SECONDS", 0.02)
    monkeypatch.setattr(health, "LONGEST_DELAY_SECONDS", 0.05)
    monkeypatch.setattr(pool, "SWEEP_SECONDS", 0.02)


def status(r: Rig, name: str = "fake") -> RelayStatus:
    return next(status for status in r.pool.relays() if status.name == name)


def test_sessions_are_replaced_after_their_messages() -> None:
    async def main() -> None:
        async with FakeRelay() as fake:
            settings = relay(fake.port, connections=1, messages_per_connection=3)
            async with rig(settings) as r:
                found = await r.outcomes(*(make_job(seq) for seq in range(10)))
                assert found == [ACCEPTED] * 10
                assert fake.connections == 4
                assert fake.commands.count(b"QUIT") == 3

    run(main())


def test_sessions_are_replaced_after_their_time() -> None:
    async def main() -> None:
        timeouts = {"idle": 3_600}
        fake = FakeRelay()
        async with fake, rig(relay(fake.port, seconds_per_connection=0.05, timeouts=timeouts)) as r:
            assert await r.outcomes(make_job(1)) == [ACCEPTED]
            await until(lambda: fake.open_connections == 0)
            assert fake.commands[-1] == b"QUIT"
            assert await r.outcomes(make_job(2)) == [ACCEPTED]
            assert fake.connections == 2

    run(main())


def test_idle_sessions_quit() -> None:
    async def main() -> None:
        async with FakeRelay() as fake, rig(relay(fake.port, timeouts={"idle": 0.05})) as r:
            assert await r.outcomes(make_job(1)) == [ACCEPTED]
            await until(lambda: fake.open_connections == 0)
            assert fake.commands[-1] == b"QUIT"
            await until(lambda: r.pool.open_sessions == 0)

    run(main())


def test_a_server_that_does_not_answer_quit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("campaignd.net.session.QUIT_SECONDS", 0.05)

    async def main() -> None:
        timeouts = {"idle": 0.05}
        fake = FakeRelay({"QUIT": Stall()})
        async with fake, rig(relay(fake.port, timeouts=timeouts)) as r:
            assert await r.outcomes(make_job(1)) == [ACCEPTED]
            await until(lambda: b"QUIT" in fake.commands)
            await until(lambda: r.pool.open_sessions == 0)

    run(main())


def test_as_many_sessions_as_work_needs() -> None:
    async def main() -> None:
        async with FakeRelay({"DOT": Stall()}) as fake, rig(relay(fake.port, connections=5)) as r:
            r.source.jobs.extend(make_job(seq) for seq in range(3))
            r.pool.wake()
            await until(lambda: r.pool.in_flight == 3)
            assert r.pool.open_sessions == 3
            r.source.jobs.extend(make_job(seq) for seq in range(3, 20))
            r.pool.wake()
            await until(lambda: r.pool.in_flight == 5)
            assert (r.pool.open_sessions, len(r.source)) == (5, 15)
            assert fake.connections == 5
            assert "5 busy" in repr(r.pool)

    run(main())


def test_weights_share_what_the_relays_can_carry() -> None:
    async def main() -> None:
        async with FakeRelay() as one, FakeRelay() as two:
            relays = [
                relay(one.port, name="one", weight=3, connections=10),
                relay(two.port, name="two", connections=10),
            ]
            async with rig(relays) as r:
                for fake in (one, two):
                    fake.say("DOT", Say(b"250 ok", split=1))
                r.source.jobs.extend(make_job(seq) for seq in range(300))
                r.pool.wake()
                await until(lambda: r.pool.open_sessions == 20)
                await until(lambda: r.pool.in_flight == 0)
                for fake in (one, two):
                    fake.say("DOT", Stall())
                r.source.jobs.extend(make_job(seq) for seq in range(300, 308))
                r.pool.wake()
                await until(lambda: r.pool.in_flight == 8)
                assert (status(r, "one").busy, status(r, "two").busy) == (6, 2)

    run(main())


def test_failover_to_another_relay() -> None:
    async def main() -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            async with FakeRelay() as fake:
                down = relay(unused.getsockname()[1], name="down", weight=100)
                async with rig([down, relay(fake.port)]) as r:
                    found = await r.outcomes(*(make_job(seq) for seq in range(50)))
                    assert found == [ACCEPTED] * 50
                    assert status(r, "down").state in ("backoff", "probing")
                    assert "refused" in status(r, "down").last_error.lower()
                    assert status(r).accepted == 50

    run(main())


def test_never_failover_after_the_final_dot() -> None:
    async def main() -> None:
        async with FakeRelay({"DOT": Close()}) as bad, FakeRelay() as good:
            relays = [relay(bad.port, name="bad", weight=100), relay(good.port, name="good")]
            async with rig(relays) as r:
                jobs = [make_job(seq) for seq in range(30)]
                await r.send(*jobs)
                unknown = [v for v in r.reports.verdicts.values() if v.outcome is UNKNOWN]
                assert unknown
                assert len(bad.received) == len(unknown)
                assert all(verdict.relay == "bad" for verdict in unknown)
                assert len(good.received) + len(bad.received) == 30

    run(main())


def test_a_relay_that_is_down_costs_time_not_messages() -> None:
    async def main() -> None:
        fake = FakeRelay({"GREETING": Close(b"421 4.3.2 down")})
        async with fake, rig(relay(fake.port)) as r:
            r.source.jobs.extend(make_job(seq) for seq in range(20))
            r.pool.wake()
            await until(lambda: fake.connections >= 6)
            assert len(r.source) == 20
            assert not r.reports.verdicts
            assert "421" in status(r).last_error
            fake.say("GREETING", Say(b"220 hello"))
            assert await r.outcomes(make_job(99)) == [ACCEPTED]
            await until(lambda: len(r.reports.verdicts) == 21)
            assert status(r).state == "up"
            assert set(r.source.put_backs) == set()

    run(main())


def test_421_to_working_sessions_costs_no_message() -> None:
    async def main() -> None:
        says = [Say(b"250 ok")] * 30 + [Close(b"421 4.7.0 busy")] * 3 + [Say(b"250 ok")]
        async with FakeRelay({"MAIL": says}) as fake, rig(relay(fake.port, connections=8)) as r:
            found = await r.outcomes(*(make_job(seq) for seq in range(100)))
            assert found == [ACCEPTED] * 100
            assert status(r).returned >= 3
            assert "421" in status(r).last_error

    run(main())


def test_only_one_session_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "FIRST_DELAY_SECONDS", 0.0)

    async def main() -> None:
        async with FakeRelay({"GREETING": [Close(b"421 x"), Say(b"220 x")]}) as fake:
            fake.say("MAIL", Stall())
            async with rig(relay(fake.port)) as r:
                r.source.jobs.extend(make_job(seq) for seq in range(50))
                r.pool.wake()
                await until(lambda: status(r).busy == 1)
                for _ in range(5):
                    r.pool.wake()
                    await asyncio.sleep(0.02)  # sweeps would open more, if they might
                assert status(r).state == "probing"
                assert fake.connections == 2

    run(main())


def test_a_probe_that_finds_nothing_out_is_followed_by_another() -> None:
    async def main() -> None:
        fake = FakeRelay({"GREETING": [Close(b"421 x"), Say(b"220 x")]})
        async with fake, rig(relay(fake.port, timeouts={"idle": 0.05})) as r:
            r.source.jobs.append(make_job(1, smtputf8=True))  # judged without MAIL
            r.pool.wake()
            await until(lambda: 1 in r.reports.verdicts)
            await until(lambda: r.pool.open_sessions == 0)
            assert status(r).state == "probing"
            assert await r.outcomes(make_job(2)) == [ACCEPTED]
            assert status(r).state == "up"

    run(main())


def test_drain_lets_jobs_end_and_takes_none() -> None:
    async def main() -> None:
        fake = FakeRelay({"DOT": Say(b"250 ok", split=1)})
        async with fake, rig(relay(fake.port, connections=4)) as r:
            r.source.jobs.extend(make_job(seq) for seq in range(100))
            r.pool.wake()
            await until(lambda: r.pool.in_flight == 4)
            await r.pool.drain(5)
            assert r.pool.in_flight == 0
            done = len(r.reports.verdicts)
            assert done + len(r.source) == 100
            assert len(fake.received) == done
            r.pool.wake()
            await until(lambda: fake.open_connections == 0)
            assert len(r.reports.verdicts) == done
            assert fake.commands[-1] == b"QUIT"

    run(main())


def test_drain_gives_up_and_abort_judges_by_phase() -> None:
    async def main() -> None:
        script = {"DOT": Stall(), "RCPT": [Say(b"250 ok")] * 2 + [Stall()]}
        async with FakeRelay(script) as fake, rig(relay(fake.port, connections=3)) as r:
            r.source.jobs.extend(make_job(seq) for seq in range(3))
            r.pool.wake()
            await until(lambda: len(fake.received) == 2)
            await until(lambda: r.pool.in_flight == 3)
            await r.pool.drain(0.05)
            assert r.pool.in_flight == 3
            r.pool.abort()
            assert r.pool.in_flight == 0
            assert [v.outcome for v in r.reports.verdicts.values()] == [UNKNOWN, UNKNOWN]
            assert len(r.source) == 1
            assert r.source.jobs[0].returns == 0
            await until(lambda: r.pool.open_sessions == 0)

    run(main())


def test_cancelled_run_loses_nothing() -> None:
    async def main() -> None:
        async with FakeRelay({"MAIL": Stall()}) as fake, rig(relay(fake.port)) as r:
            r.source.jobs.extend(make_job(seq) for seq in range(5))
            r.pool.wake()
            await until(lambda: r.pool.in_flight == 5)
            r.pool.close()
            await until(lambda: len(r.source) == 5)
            assert not r.reports.verdicts

    run(main())


def test_reconfigure() -> None:
    async def main() -> None:
        async with FakeRelay() as old, FakeRelay() as new:
            first = relay(old.port, name="first")
            async with rig(first) as r:
                assert await r.outcomes(make_job(1)) == [ACCEPTED]
                # limits alone: the session stays
                r.pool.reconfigure(Config(relay=[relay(old.port, name="first", weight=5)]))
                assert await r.outcomes(make_job(2)) == [ACCEPTED]
                assert old.connections == 1
                # another host: the session goes
                r.pool.reconfigure(Config(relay=[relay(new.port, name="first")]))
                assert await r.outcomes(make_job(3)) == [ACCEPTED]
                assert (old.connections, new.connections) == (1, 1)
                await until(lambda: old.open_connections == 0)
                assert old.commands[-1] == b"QUIT"
                # added and removed
                r.pool.reconfigure(Config(relay=[relay(old.port, name="second")]))
                assert await r.outcomes(make_job(4)) == [ACCEPTED]
                assert len(old.received) == 3
                await until(lambda: [s.name for s in r.pool.relays()] == ["second"])

    run(main())


def test_reconfigure_while_connecting() -> None:
    async def main() -> None:
        slow = Say(b"220 " + b"x" * 100, split=1)
        old, new = FakeRelay({"GREETING": slow}), FakeRelay()
        async with old, new, rig(relay(old.port)) as r:
            r.source.jobs.append(make_job(1))
            r.pool.wake()
            await until(lambda: old.connections)
            r.pool.reconfigure(Config(relay=[relay(new.port)]))
            await until(lambda: 1 in r.reports.verdicts)
            await until(lambda: old.connections and not old.open_connections)
            assert (len(old.received), len(new.received)) == (0, 1)

    run(main())


def test_reconfigure_forgets_the_failures_of_another_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "FIRST_DELAY_SECONDS", 3_600)
    monkeypatch.setattr(health, "LONGEST_DELAY_SECONDS", 3_600)

    async def main() -> None:
        down = FakeRelay({"GREETING": Close(b"421 down")})
        async with down, FakeRelay() as fake, rig(relay(down.port)) as r:
            r.source.jobs.append(make_job(1))
            r.pool.wake()
            await until(lambda: status(r).state == "backoff")
            assert status(r).retry_in > 1_000
            r.pool.reconfigure(Config(relay=[relay(fake.port)]))
            await until(lambda: 1 in r.reports.verdicts)

    run(main())


def test_a_removed_relay_finishes_its_jobs() -> None:
    async def main() -> None:
        script = {"DOT": Say(b"250 it takes a while", split=1)}
        async with FakeRelay(script) as fake, rig(relay(fake.port)) as r:
            r.source.jobs.append(make_job(1))
            r.pool.wake()
            await until(lambda: fake.received)
            r.pool.reconfigure(Config(relay=[]))
            assert status(r).state == "leaving"
            await until(lambda: 1 in r.reports.verdicts)
            assert r.reports.verdicts[1].outcome is ACCEPTED
            await until(lambda: r.pool.relays() == [])

    run(main())


def test_a_rate_is_an_upper_bound() -> None:
    async def main() -> None:
        async with FakeRelay() as fake:
            settings = relay(fake.port, messages_per_second=100)
            async with rig(settings) as r:
                start = time.monotonic()
                r.source.jobs.extend(make_job(seq) for seq in range(40))
                r.pool.wake()
                while len(r.reports.verdicts) < 40:
                    sent = len(r.reports.verdicts)
                    assert sent <= 100 * (time.monotonic() - start + 0.05) + 1
                    await asyncio.sleep(0.002)
                # lifting it takes effect at once
                r.pool.reconfigure(Config(relay=[relay(fake.port)]))
                assert not status(r).rate_limited
                found = await r.outcomes(*(make_job(seq) for seq in range(100, 400)))
                assert found == [ACCEPTED] * 300

    run(main())


def test_eight_bit_needs_every_relay() -> None:
    async def main() -> None:
        async with FakeRelay() as with_it, FakeRelay({"EHLO": Say(b"250 old")}) as without:
            relays = [relay(with_it.port, name="a"), relay(without.port, name="b")]
            async with rig(relays[0]) as r:
                assert not r.pool.eight_bit
                await r.send(make_job(1))
                assert r.pool.eight_bit
                r.pool.reconfigure(Config(relay=relays))
                assert r.pool.eight_bit
                with_it.say("MAIL", Stall())
                r.source.jobs.extend(make_job(seq) for seq in range(2, 4))
                r.pool.wake()
                await until(lambda: not r.pool.eight_bit)

    run(main())
