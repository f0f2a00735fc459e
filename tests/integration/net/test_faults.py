"""Sessions and pool against a relay that misbehaves at every phase, over real sockets."""

from __future__ import annotations

import asyncio

import pytest

from campaignd.model import Job, Outcome, SendRight
from campaignd.net import health, pool, session
from tests.fakes.jobs import make_job
from tests.fakes.loop import run, until
from tests.fakes.relay import Answer, Close, FakeRelay, Reset, Say, Stall
from tests.integration.net.pools import relay, rig

ACCEPTED, DEFERRED = Outcome.ACCEPTED, Outcome.DEFERRED
REJECTED, UNKNOWN = Outcome.REJECTED, Outcome.UNKNOWN

LOCKSTEP = Say(b"250-fake\r\n250 8BITMIME")

ATTEMPTS = 4  # what a job gets in all: the first, and after each of three returns


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "FIRST_DELAY_SECONDS", 0.02)
    monkeypatch.setattr(health, "LONGEST_DELAY_SECONDS", 0.02)
    monkeypatch.setattr(pool, "SWEEP_SECONDS", 0.02)


def long_job(seq: int = 1) -> Job:
    return make_job(seq, message=b"x" * 70 + b"\r\n" + b"line\r\n" * 100_000 + b".\r\n")


def huge_job(right: SendRight | None = None) -> Job:
    """More than the kernel's buffers at both ends take (net.ipv4.tcp_wmem and tcp_rmem)."""
    return make_job(1, message=b"line\r\n" * 3_000_000 + b".\r\n", right=right)


OK = Say(b"250 ok")
CASES: list[tuple[str, Answer, Outcome, int]] = [
    # what, how, the outcome, how often the job was tried until then
    ("MAIL", Close(), DEFERRED, ATTEMPTS),
    ("MAIL", Reset(), DEFERRED, ATTEMPTS),
    ("MAIL", Close(b"421 4.3.2 down"), DEFERRED, ATTEMPTS),
    ("MAIL", Say(b"450 4.1.8 later"), DEFERRED, 1),
    ("MAIL", Say(b"550 5.1.8 no"), REJECTED, 1),
    ("MAIL", Say(b"garbage"), DEFERRED, 1),
    ("MAIL", Say(b"\x00\xff\r\n\r\n", raw=True), DEFERRED, 1),
    ("MAIL", Say(b"250 ok\r\n250 surplus"), DEFERRED, 1),
    ("MAIL", Say(b"250 2.1.0 ok", split=1), ACCEPTED, 1),
    ("RCPT", Close(), DEFERRED, 1),
    ("RCPT", Close(b"421 4.3.2 down"), DEFERRED, ATTEMPTS),
    ("RCPT", Say(b"450 4.2.1 later"), DEFERRED, 1),
    ("RCPT", Say(b"550 5.1.1 no"), REJECTED, 1),
    ("RCPT", Say(b"garbage"), DEFERRED, 1),
    ("RCPT", Say(b"250-a\r\n250-b\r\n250 c", split=3), ACCEPTED, 1),
    ("DATA", Close(), DEFERRED, 1),
    ("DATA", Close(b"421 4.3.2 down"), DEFERRED, ATTEMPTS),
    ("DATA", Say(b"451 4.7.1 later"), DEFERRED, 1),
    ("DATA", Say(b"554 5.7.1 no"), REJECTED, 1),
    ("DATA", Say(b"250 not 354"), DEFERRED, 1),
    ("DATA", Say(b"354 go", split=1), ACCEPTED, 1),
    ("DOT", Close(), UNKNOWN, 1),
    ("DOT", Reset(), UNKNOWN, 1),
    ("DOT", Close(b"250 2.0"), ACCEPTED, 1),
    ("DOT", Close(b"421 4.3.2 down"), DEFERRED, 1),
    ("DOT", Say(b"451 4.3.0 later"), DEFERRED, 1),
    ("DOT", Say(b"554 5.7.1 spam"), REJECTED, 1),
    ("DOT", Say(b"354 what"), UNKNOWN, 1),
    ("DOT", Say(b"garbage"), UNKNOWN, 1),
    ("DOT", Say(b"250-2.0.0 a\r\n250 2.0.0 b", split=2), ACCEPTED, 1),
]


@pytest.mark.parametrize("lockstep", [False, True], ids=["pipelined", "lockstep"])
@pytest.mark.parametrize(("command", "answer", "outcome", "attempts"), CASES)
def test_faults(
    command: str, answer: Answer, outcome: Outcome, attempts: int, lockstep: bool
) -> None:
    async def main() -> None:
        script: dict[str, Answer | list[Answer]] = {command: answer}
        if lockstep:
            script["EHLO"] = LOCKSTEP
        async with FakeRelay(script) as fake, rig(relay(fake.port)) as r:
            (verdict,) = await r.send(make_job(1))
            assert verdict.outcome is outcome
            assert verdict.relay == "fake"
            mails = [line for line in fake.commands if line.startswith(b"MAIL")]
            assert len(mails) == attempts
            assert len(fake.received) == (command == "DOT" or outcome is ACCEPTED)

            # whatever happened, the next job goes through when the relay is well again
            for key in ("MAIL", "RCPT", "DOT"):
                fake.say(key, OK)
            fake.say("DATA", Say(b"354 go"))
            assert await r.outcomes(make_job(2)) == [ACCEPTED]

    run(main())


@pytest.mark.parametrize("lockstep", [False, True], ids=["pipelined", "lockstep"])
@pytest.mark.parametrize(
    ("command", "phase", "outcome", "attempts"),
    [
        ("MAIL", "mail", DEFERRED, ATTEMPTS),
        ("RCPT", "rcpt", DEFERRED, 1),
        ("DATA", "data", DEFERRED, 1),
        ("DOT", "final_dot", UNKNOWN, 1),
    ],
)
def test_stalls(command: str, phase: str, outcome: Outcome, attempts: int, lockstep: bool) -> None:
    async def main() -> None:
        script: dict[str, Answer | list[Answer]] = {command: Stall()}
        if lockstep:
            script["EHLO"] = LOCKSTEP
        timeouts = {phase: 0.1}
        async with FakeRelay(script) as fake, rig(relay(fake.port, timeouts=timeouts)) as r:
            (verdict,) = await r.send(make_job(1))
            assert verdict.outcome is outcome
            assert "no answer in time" in verdict.text
            assert fake.connections == attempts

    run(main())


def test_a_server_that_stops_reading_a_body() -> None:
    async def main() -> None:
        script = {"BODY": [Say(b""), Stall()], "EHLO": Say(b"250 fake")}
        timeouts = {"body": 0.3}
        async with FakeRelay(script) as fake, rig(relay(fake.port, timeouts=timeouts)) as r:
            (verdict,) = await r.send(huge_job())
            assert verdict.outcome is DEFERRED
            assert "at the body" in verdict.text
            assert not fake.received

    run(main())


def test_long_bodies_arrive_whole() -> None:
    async def main() -> None:
        async with FakeRelay() as fake, rig(relay(fake.port)) as r:
            jobs = [long_job(seq) for seq in range(3)]
            assert await r.outcomes(*jobs) == [ACCEPTED] * 3
            assert [m.content for m in fake.received] == [jobs[0].message[:-3]] * 3

    run(main())


@pytest.mark.parametrize("answer", [Close(b"421 4.3.2 down"), Say(b"421 4.3.2 down"), Reset()])
def test_a_server_that_leaves_in_the_body(answer: Answer) -> None:
    async def main() -> None:
        script = {"BODY": [Say(b""), answer], "EHLO": Say(b"250 fake")}
        async with FakeRelay(script) as fake, rig(relay(fake.port)) as r:
            assert await r.outcomes(huge_job()) == [DEFERRED]
            assert not fake.received

    run(main())


def test_idle_connections_closed_by_the_server_cost_nothing() -> None:
    async def main() -> None:
        async with FakeRelay() as fake, rig(relay(fake.port)) as r:
            fake.say("DOT", Say(b"250 ok\r\n421 4.4.2 idle"), Say(b"250 ok"))
            assert await r.outcomes(make_job(1)) == [ACCEPTED]
            await until(lambda: r.pool.open_sessions == 0)
            assert await r.outcomes(make_job(2)) == [ACCEPTED]
            assert r.pool.relays()[0].state == "up"
            assert r.source.put_backs == []

    run(main())


def test_no_final_dot_after_the_right_has_ended() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        script = {"DATA": Say(b"354 go", split=1)}
        async with FakeRelay(script) as fake, rig(relay(fake.port)) as r:
            right = SendRight(loop.time() + 3600)
            r.source.jobs.append(make_job(1, right=right))
            r.pool.wake()
            await until(lambda: b"DATA" in fake.commands)
            right.deadline = 0.0
            await until(lambda: r.source.dropped)
            await until(lambda: fake.open_connections == 0)
            assert not fake.received
            assert not r.reports.verdicts
            assert r.source.dropped[0].returns == 0

    run(main())


def test_no_final_dot_after_a_long_body_whose_right_ended_meanwhile() -> None:
    async def main() -> None:
        right = SendRight(1e12)
        job = huge_job(right)
        async with FakeRelay({"EHLO": Say(b"250 fake")}) as fake, rig(relay(fake.port)) as r:
            r.source.jobs.append(job)
            r.pool.wake()
            await until(lambda: fake.lost_in_body)
            right.deadline = 0.0
            await until(lambda: r.source.dropped)
            await until(lambda: fake.open_connections == 0)
            assert not fake.received
            assert fake.lost_in_body == 1

    run(main())


def test_what_is_not_offered_is_not_used() -> None:
    async def main() -> None:
        script = {"EHLO": Say(b"250-fake\r\n250-PIPELINING\r\n250 SIZE 100")}
        async with FakeRelay(script) as fake, rig(relay(fake.port)) as r:
            utf8, big, eight, plain = await r.send(
                make_job(1, smtputf8=True),
                make_job(2, message=b"x" * 99 + b"\r\n.\r\n"),
                make_job(
                    3,
                    message=b"\xc3\xa9\r\n.\r\n",
                    eight_bit=True,
                    recode=lambda: b"=C3=A9\r\n.\r\n",
                ),
                make_job(4),
            )
            assert utf8[:3] == (REJECTED, 0, "5.6.7")
            assert big[:3] == (REJECTED, 0, "5.3.4")
            assert eight.outcome is plain.outcome is ACCEPTED
            assert fake.received[0].content == b"=C3=A9\r\n"
            assert not r.pool.eight_bit

    run(main())


def test_refusals_in_between_disturb_nobody() -> None:
    async def main() -> None:
        rcpts = [Say(b"550 5.1.1 who") if seq % 3 == 0 else OK for seq in range(60)]
        async with FakeRelay({"RCPT": rcpts}) as fake, rig(relay(fake.port, connections=1)) as r:
            found = await r.outcomes(*(make_job(seq) for seq in range(60)))
            assert found == [REJECTED if seq % 3 == 0 else ACCEPTED for seq in range(60)]
            assert fake.connections == 1
            assert fake.commands.count(b"RSET") == 0  # 354 came, so a lone dot ended it

    run(main())


def test_too_many_refusals_replace_the_session() -> None:
    async def main() -> None:
        count = 2 * session.MAX_REFUSED
        script = {"RCPT": Say(b"550 5.1.1 who"), "DATA": Say(b"503 5.5.1 no")}
        async with FakeRelay(script) as fake, rig(relay(fake.port, connections=1)) as r:
            found = await r.outcomes(*(make_job(seq) for seq in range(count)))
            assert found == [REJECTED] * count
            assert fake.connections == 2
            assert fake.commands.count(b"QUIT") >= 1
            assert fake.commands.count(b"RSET") == count - 2

    run(main())


@pytest.mark.parametrize("size", [10, 40_000])
def test_overlap_sends_everything_once(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(session, "OVERLAP_RTT_SECONDS", 0.0)

    async def main() -> None:
        async with FakeRelay() as fake, rig(relay(fake.port, connections=1)) as r:
            fake.say("DOT", *[Say(b"250 ok"), Say(b"451 4.7.1 later"), Say(b"250 ok", split=1)] * 9)
            jobs = [
                make_job(seq, message=b"%d " % seq + b"x" * size + b"\r\n.\r\n")
                for seq in range(27)
            ]
            found = await r.outcomes(*jobs)
            assert found == [DEFERRED if seq % 3 == 1 else ACCEPTED for seq in range(27)]
            assert [m.content for m in fake.received] == [job.message[:-3] for job in jobs]
            assert fake.connections == 1

    run(main())


def test_overlap_loses_only_what_is_after_its_dot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "OVERLAP_RTT_SECONDS", 0.0)

    async def main() -> None:
        script = {"DOT": [Reset(), OK]}
        async with FakeRelay(script) as fake, rig(relay(fake.port, connections=1)) as r:
            found = await r.outcomes(*(make_job(seq) for seq in range(5)))
            assert found == [UNKNOWN] + [ACCEPTED] * 4
            assert r.source.put_backs == [1]  # the one whose MAIL was already written
            assert len(fake.received) == 5

    run(main())
