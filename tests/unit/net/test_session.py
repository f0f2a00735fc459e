"""A session over a transport that only remembers: what is written when, and what never is."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import msgspec
import pytest

from campaignd.config import Config, Relay, Timeouts
from campaignd.model import Job, Outcome, SendRight, Verdict
from campaignd.net import session as module
from campaignd.net.connect import Link
from campaignd.net.health import State as HealthState
from campaignd.net.lane import Lane
from campaignd.net.session import BLOCK, Session
from campaignd.smtp.command import Capabilities
from tests.fakes.jobs import Reports, Source, make_job
from tests.fakes.loop import run, until

GROUP_OK = b"250 ok\r\n250 ok\r\n354 go\r\n"
TAKEN = b"250 2.0.0 queued\r\n"


class Transport:
    """Takes at most `room` octets into the kernel; the rest waits in its buffer."""

    def __init__(self) -> None:
        self.room = 1 << 40
        self.written: list[bytes] = []
        self.buffered = 0
        self.end = ""
        self.protocol: asyncio.Protocol | None = None

    def write(self, data: bytes) -> None:
        assert not self.end
        self.written.append(bytes(data))
        sent = min(self.room, len(data))
        self.room -= sent
        self.buffered += len(data) - sent

    def drain(self) -> None:
        """The kernel has taken everything."""
        self.buffered = 0
        assert self.protocol is not None
        self.protocol.resume_writing()

    def get_write_buffer_size(self) -> int:
        return self.buffered

    def set_write_buffer_limits(self, high: int) -> None:
        assert high == 0

    def set_protocol(self, protocol: asyncio.Protocol) -> None:
        self.protocol = protocol

    def get_extra_info(self, name: str) -> Any:
        return self

    def setsockopt(self, *args: int) -> None:
        assert args[1:] == (12, 1)

    def close(self) -> None:
        self.end = self.end or "closed"

    def abort(self) -> None:
        self.end = self.end or "aborted"


class Boss:
    """The supervisor of one session."""

    def __init__(self, *jobs: Job) -> None:
        self.source = Source(jobs)
        self.report = Reports()
        self.resting = 0
        self.is_gone = False
        self.handed_back: list[tuple[int, Verdict]] = []

    def rests(self, session: Session) -> None:
        self.resting += 1

    def leaves(self, session: Session) -> None: ...

    def gone(self, session: Session) -> None:
        assert not self.is_gone
        self.is_gone = True

    def hand_back(self, lane: Lane, job: Job, verdict: Verdict) -> None:
        self.handed_back.append((job.seq, verdict))


class Bench:
    """A session under test. Make it within a running loop."""

    def __init__(
        self,
        *jobs: Job,
        rtt: float = 0.0,
        tls: bool = False,
        probe: bool = False,
        offered: Capabilities | None = None,
        **settings: Any,
    ) -> None:
        timeouts = msgspec.convert(settings.pop("timeouts", {}), Timeouts)
        relay = Relay(name="r", host="relay.example", timeouts=timeouts, **settings)
        self.boss = Boss(*jobs)
        self.lane = Lane(Config(relay=[relay]), relay, host="client.example")
        self.transport = Transport()
        self.below = Transport() if tls else self.transport
        link = Link(
            cast(asyncio.Transport, self.transport),
            cast(asyncio.Transport, self.below),
            offered or Capabilities(pipelining=True),
            rtt,
        )
        self.session = Session(link, self.lane, self.boss, probe=probe)
        self.session.start()

    @property
    def written(self) -> list[bytes]:
        return self.transport.written

    def outcomes(self) -> dict[int, Outcome]:
        return {seq: verdict.outcome for seq, verdict in self.boss.report.verdicts.items()}

    def says(self, data: bytes) -> None:
        self.session.data_received(data)


def big(seq: int = 1, right: SendRight | None = None) -> Job:
    return make_job(seq, message=b"x" * (3 * BLOCK) + b"\r\n.\r\n", right=right)


def test_one_write_for_the_group_and_one_for_the_body() -> None:
    async def main() -> None:
        job = make_job(1)
        bench = Bench(job)
        assert [data.count(b"\r\n") for data in bench.written] == [3]
        bench.says(GROUP_OK)
        assert bench.written[1:] == [job.message]
        bench.says(TAKEN)
        assert bench.outcomes() == {1: Outcome.ACCEPTED}
        assert bench.lane.counts[Outcome.ACCEPTED] == 1
        assert bench.boss.resting == 1
        bench.boss.source.jobs.append(make_job(2))
        bench.session.pull()
        assert len(bench.written) == 3

    run(main())


@pytest.mark.parametrize("message", [None, big().message], ids=["inline", "blocks"])
def test_r3_no_body_after_the_right_has_ended(message: bytes | None) -> None:
    async def main() -> None:
        now = asyncio.get_running_loop().time()
        right = SendRight(now + 60)
        bench = Bench(make_job(1, message=message, right=right))
        right.deadline = asyncio.get_running_loop().time()  # at the deadline is too late
        bench.says(GROUP_OK)
        assert len(bench.written) == 1
        assert (bench.transport.end, bench.boss.is_gone) == ("aborted", True)
        assert bench.boss.source.put_backs == [1]
        assert bench.boss.handed_back == []
        assert bench.outcomes() == {}
        assert bench.lane.health.state is HealthState.UP

    run(main())


def test_a_long_body_ends_only_when_the_kernel_has_all_of_it() -> None:
    async def main() -> None:
        job = big()
        bench = Bench(job)
        bench.transport.room = BLOCK + 1_000
        bench.says(GROUP_OK)
        for blocks in (2, 3, 4):
            assert len(bench.written) == 1 + blocks
            assert all(len(data) <= BLOCK for data in bench.written[1:])
            bench.session.resume_writing()  # not yet: something is still buffered
            assert len(bench.written) == 1 + blocks
            bench.transport.room = 0
            bench.transport.drain()
        assert bench.written[-1] == b".\r\n"
        assert b"".join(bench.written[1:]) == job.message
        bench.says(TAKEN)
        assert bench.outcomes() == {1: Outcome.ACCEPTED}

    run(main())


def test_a_shared_tail_goes_after_the_message() -> None:
    tail = memoryview(b"\r\n" + b"y" * (2 * BLOCK) + b"\r\n.\r\n")

    async def main(message: bytes, room: int) -> list[bytes]:
        bench = Bench(make_job(1, message=message, tail=bytes(tail)), make_job(2))
        bench.transport.room = room
        bench.says(GROUP_OK)
        while bench.transport.buffered:
            bench.transport.drain()
        bench.says(TAKEN)
        assert bench.outcomes() == {1: Outcome.ACCEPTED}
        assert b"RCPT TO:<user2@example.com>" in bench.written[-1]
        return bench.written[1:-1]

    for message in (b"x", b"x" * (BLOCK + 1)):
        for room in (0, 1, BLOCK, 1 << 40):
            written = run(main(message, room))
            assert b"".join(written) == message + tail
            assert written[-1] == b".\r\n", "by itself, after all else has gone"
            assert max(map(len, written)) <= BLOCK


def test_r3_no_final_dot_when_the_right_ends_while_a_long_body_drains() -> None:
    async def main() -> None:
        right = SendRight(1e12)
        bench = Bench(big(right=right))
        bench.transport.room = 0
        bench.says(GROUP_OK)
        while bench.transport.buffered and not bench.transport.end:
            right.deadline = 0.0
            bench.transport.drain()
        assert bench.transport.end == "aborted"
        assert not any(data.endswith(b".\r\n") for data in bench.written[1:])
        assert bench.boss.source.put_backs == [1]

    run(main())


def test_over_tls_the_transport_below_has_to_drain_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DRAIN_POLL_SECONDS", 0.0)

    async def main() -> None:
        bench = Bench(big(), tls=True)
        bench.below.buffered = 1
        bench.says(GROUP_OK)
        for _ in range(5):
            await asyncio.sleep(0.001)
            assert len(bench.written) == 1
        bench.below.buffered = 0
        await until(lambda: bench.written[-1] == b".\r\n")
        assert b"".join(bench.written[1:]) == big().message

    run(main())


def test_a_source_that_keeps_ended_jobs_is_not_asked_for_ever() -> None:
    async def main() -> None:
        class Stubborn(Source):
            def put_back(self, job: Job) -> None:
                self.put_backs.append(job.seq)
                self.jobs.appendleft(job)

        bench = Bench()
        bench.boss.source = Stubborn([make_job(1, right=SendRight(0.0)), make_job(2)])
        bench.session = Session(
            Link(
                cast(asyncio.Transport, bench.transport),
                cast(asyncio.Transport, bench.transport),
                Capabilities(),
                0.0,
            ),
            bench.lane,
            bench.boss,
            probe=False,
        )
        bench.session.pull()
        assert bench.written == []
        assert bench.boss.source.put_backs == [1, 1]

    run(main())


@pytest.mark.parametrize(
    ("said", "timeout", "outcome", "returned"),
    [
        (b"", "mail", None, True),
        (b"250 ok\r\n", "rcpt", Outcome.DEFERRED, False),
        (b"250 ok\r\n250 ok\r\n", "data", Outcome.DEFERRED, False),
        (GROUP_OK, "final_dot", Outcome.UNKNOWN, False),
    ],
)
def test_deadlines_by_phase(
    said: bytes, timeout: str, outcome: Outcome | None, returned: bool
) -> None:
    async def main() -> None:
        now = asyncio.get_running_loop().time()
        bench = Bench(make_job(1), timeouts={timeout: 1_234})
        bench.says(said)
        assert now + 1_234 <= bench.session.deadline < now + 1_244
        bench.session.expire(bench.session.deadline)
        assert bench.outcomes() == ({} if outcome is None else {1: outcome})
        assert bool(bench.boss.handed_back) == returned
        assert bench.transport.end == "aborted"
        assert bench.lane.health.state is HealthState.BACKOFF

    run(main())


def test_a_trickle_does_not_extend_a_deadline() -> None:
    async def main() -> None:
        bench = Bench(make_job(1))
        before = bench.session.deadline
        await asyncio.sleep(0.005)
        bench.says(b"25")
        bench.says(b"0-a\r\n")
        assert bench.session.deadline == before

    run(main())


def test_overlap_only_on_a_long_round_trip() -> None:
    async def main() -> None:
        for rtt, lines in ((0.0, [3, 4]), (0.02, [3, 7])):
            bench = Bench(make_job(1), make_job(2), rtt=rtt)
            bench.says(GROUP_OK)
            assert [data.count(b"\r\n") for data in bench.written] == lines
        bench.says(TAKEN + GROUP_OK)
        assert bench.outcomes() == {1: Outcome.ACCEPTED}
        assert bench.written[-1] == make_job(2).message

    run(main())


def test_no_overlap_in_lockstep_or_when_told_not_to_pipeline() -> None:
    async def main() -> None:
        for settings in ({"offered": Capabilities()}, {"pipelining": False}):
            bench = Bench(make_job(1), make_job(2), rtt=1.0, **settings)
            for said in (b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n"):
                bench.says(said)
            assert [data.count(b"\r\n") for data in bench.written] == [1, 1, 1, 4]

    run(main())


def test_leaving_ends_the_job_first() -> None:
    async def main() -> None:
        bench = Bench(make_job(1), make_job(2))
        bench.session.leave()
        bench.says(GROUP_OK)
        bench.says(TAKEN)
        assert bench.written[-1] == b"QUIT\r\n"
        bench.says(b"221 bye\r\n")
        assert (bench.transport.end, bench.boss.is_gone) == ("closed", True)
        assert len(bench.boss.source) == 1

    run(main())


def test_an_unsendable_job_is_judged_and_the_next_taken() -> None:
    async def main() -> None:
        bench = Bench(make_job(1, recipient=b"a@b\r\nDATA"), make_job(2))
        assert bench.boss.report.verdicts[1][:3] == (Outcome.REJECTED, 0, "5.1.3")
        assert b"user2@" in bench.written[0]

    run(main())


def test_a_probe_works_only_by_an_answered_transaction() -> None:
    async def main() -> None:
        for said, state in (
            (b"550 5.7.1 no\r\n550 5.7.1 no\r\n550 5.7.1 no\r\n", HealthState.UP),
            (b"421 4.3.2 no\r\n", HealthState.BACKOFF),
        ):
            bench = Bench(probe=True)
            bench.lane.health.failed(0.0, "x", 0.0)
            assert bench.lane.health.may_connect(100.0, 0) == 1
            bench.lane.health.began()
            bench.boss.source.jobs.append(make_job(1))
            bench.session.pull()
            assert bench.lane.health.state is HealthState.PROBING
            bench.says(said)
            assert bench.lane.health.state is state

    run(main())


def test_aborting_twice_reports_once() -> None:
    async def main() -> None:
        bench = Bench(make_job(1))
        bench.says(GROUP_OK)
        bench.session.abort()
        bench.session.abort()
        bench.session.connection_lost(None)
        assert bench.outcomes() == {1: Outcome.UNKNOWN}

    run(main())
