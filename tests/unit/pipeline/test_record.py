"""The recorder against a ledger that fails on command."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, cast

import pytest

from campaignd import metrics
from campaignd.config import Brakes as Limits
from campaignd.errors import StoreOutage, UsageError
from campaignd.model import Fact, Job, Outcome, SendRight, Verdict
from campaignd.pipeline import record
from campaignd.pipeline.brakes import Brakes
from campaignd.pipeline.record import Recorder
from campaignd.store.bounces import Failure
from campaignd.store.db import Database
from campaignd.store.ledger import Batch

ACCEPTED = Verdict(Outcome.ACCEPTED, 250, "2.0.0", "ok", "relay")


class FakeRun:
    """A shard run, as the recorder sees it."""

    def __init__(self, campaign: int = 1, shard: int = 0, epoch: int = 1) -> None:
        self.account = "acme"
        self.campaign_id = campaign
        self.shard = shard
        self.epoch = epoch
        self.done = 0
        self.committed: list[int] = []
        self.is_fenced = False

    def fact(self, job: Job, verdict: Verdict, at: float) -> Fact:
        outcome, *rest = verdict
        return Fact(job.seq, job.attempt, outcome, job.maybe_duplicate, *rest, at, None)

    def advance(self, facts: Sequence[Fact]) -> int:
        self.done = max([self.done, *(fact.seq for fact in facts)])
        return self.done

    def recorded(self, facts: Sequence[Fact]) -> None:
        self.committed += [fact.seq for fact in facts]

    def fenced(self) -> None:
        self.is_fenced = True

    def job(self, seq: int, *, marked: bool = False) -> Job:
        return Job(self, SendRight(0.0), seq, 2 if marked else 1, marked, b"", b"", b"message")


class FakeLedger:
    """`failures` are raised one after the other, before anything is written."""

    def __init__(self) -> None:
        self.failures: list[Exception] = []
        self.calls: list[tuple[str, list[Batch]]] = []
        self.epochs: dict[tuple[int, int], int] = {}

    async def record(self, db: object, host: str, batches: Sequence[Batch]) -> list[Batch]:
        await self._called("record", batches)
        return [batch for batch in batches if not self._held(batch)]

    async def record_exactly(self, db: object, host: str, batch: Batch) -> bool:
        await self._called("record_exactly", [batch])
        return self._held(batch)

    async def _called(self, name: str, batches: Sequence[Batch]) -> None:
        await asyncio.sleep(0)
        copies = [batch._replace(facts=list(batch.facts)) for batch in batches]
        self.calls.append((name, copies))
        if self.failures:
            raise self.failures.pop(0)

    def _held(self, batch: Batch) -> bool:
        return self.epochs.get((batch.campaign, batch.shard), batch.epoch) == batch.epoch

    def seqs(self) -> list[tuple[str, list[int]]]:
        return [
            (name, [fact.seq for batch in batches for fact in batch.facts])
            for name, batches in self.calls
        ]


@pytest.fixture
def ledger(monkeypatch: pytest.MonkeyPatch) -> FakeLedger:
    fake = FakeLedger()
    monkeypatch.setattr(record, "ledger", fake)
    monkeypatch.setattr(record, "RETRY_SECONDS", (0.001, 0.002))
    return fake


def recording(work: Callable[[Recorder], Any]) -> Recorder:
    """Runs `work` beside a recorder until all is written."""

    async def main() -> Recorder:
        recorder = Recorder(cast(Database, None), "host", lambda: 1_000.0)
        async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
            tasks.create_task(recorder.run())
            await asyncio.sleep(0)
            work(recorder)
            recorder.close()
        return recorder

    return asyncio.run(main())


def test_results_are_written_together(ledger: FakeLedger) -> None:
    one, two = FakeRun(shard=0), FakeRun(shard=1)
    job = one.job(1)

    def work(recorder: Recorder) -> None:
        recorder.report(job, ACCEPTED)
        recorder.report(two.job(1), ACCEPTED)
        recorder.report(one.job(2), ACCEPTED)
        assert recorder.backlog == 3

    recorder = recording(work)
    assert ledger.seqs() == [("record", [1, 2, 1])]
    assert [batch.done for batch in ledger.calls[0][1]] == [2, 1]
    assert (one.committed, two.committed) == ([1, 2], [1])
    assert recorder.backlog == 0
    assert recorder.counts == {1: 3}
    assert job.message == b"", "the message is not kept until the commit"


def test_a_marked_result_is_written_exactly(ledger: FakeLedger) -> None:
    """Another host may have recorded the earlier attempt meanwhile."""
    one, two = FakeRun(shard=0), FakeRun(shard=1)

    def work(recorder: Recorder) -> None:
        recorder.report(one.job(1, marked=True), ACCEPTED)
        recorder.report(two.job(1), ACCEPTED)

    recording(work)
    assert ledger.seqs() == [("record", [1]), ("record_exactly", [1])]
    assert ledger.calls[1][1][0].shard == 0


def test_what_is_fenced_is_written_exactly_and_the_run_told(ledger: FakeLedger) -> None:
    run = FakeRun(epoch=1)
    ledger.epochs[1, 0] = 2
    recording(lambda recorder: recorder.report(run.job(1), ACCEPTED))
    assert ledger.seqs() == [("record", [1]), ("record_exactly", [1])]
    assert run.is_fenced
    assert run.committed == [1]


@pytest.mark.parametrize("outage", [StoreOutage("away"), UsageError("password")])
def test_an_outage_is_waited_out(ledger: FakeLedger, outage: Exception) -> None:
    run = FakeRun()
    ledger.failures = [outage, outage]
    recorder = recording(lambda recorder: recorder.report(run.job(1), ACCEPTED))
    assert ledger.seqs() == [("record", [1])] * 3
    assert run.committed == [1]
    assert recorder.waiting_since is None


def test_after_a_commit_without_an_answer_nothing_is_counted_twice(ledger: FakeLedger) -> None:
    run = FakeRun()
    ledger.failures = [StoreOutage("lost", ambiguous=True)]
    recording(lambda recorder: recorder.report(run.job(1), ACCEPTED))
    assert ledger.seqs() == [("record", [1]), ("record_exactly", [1])]
    assert run.committed == [1]


def test_doubt_stays_until_everything_is_written(ledger: FakeLedger) -> None:
    one, two = FakeRun(shard=0), FakeRun(shard=1)
    ledger.failures = [
        StoreOutage("lost", ambiguous=True),
        StoreOutage("refused"),
    ]

    def work(recorder: Recorder) -> None:
        recorder.report(one.job(1), ACCEPTED)
        recorder.report(two.job(1), ACCEPTED)

    recording(work)
    assert [name for name, _ in ledger.calls] == [
        "record", "record_exactly", "record_exactly", "record_exactly",
    ]  # fmt: skip
    assert (one.committed, two.committed) == ([1], [1])


def test_doubt_ends(ledger: FakeLedger) -> None:
    run = FakeRun()

    async def main() -> None:
        recorder = Recorder(cast(Database, None), "host")
        ledger.failures = [StoreOutage("lost", ambiguous=True)]
        async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
            tasks.create_task(recorder.run())
            recorder.report(run.job(1), ACCEPTED)
            while recorder.backlog:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
            recorder.report(run.job(2), ACCEPTED)
            recorder.close()

    asyncio.run(main())
    assert ledger.seqs()[-1] == ("record", [2])


def test_says_since_when_it_waits(ledger: FakeLedger) -> None:
    async def main() -> None:
        recorder = Recorder(cast(Database, None), "host", lambda: 1_000.0)
        ledger.failures = [StoreOutage("away")] * 10_000
        writing = asyncio.create_task(recorder.run())
        recorder.report(FakeRun().job(1), ACCEPTED)
        async with asyncio.timeout(10):
            while recorder.waiting_since is None:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        assert recorder.waiting_since == 1_000.0
        assert recorder.backlog == 1
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)

    asyncio.run(main())


def test_a_bug_is_not_waited_out(ledger: FakeLedger) -> None:
    ledger.failures = [ZeroDivisionError("a bug")]
    with pytest.raises(ExceptionGroup) as caught:
        recording(lambda recorder: recorder.report(FakeRun().job(1), ACCEPTED))
    assert caught.group_contains(ZeroDivisionError)


def refused(text: str, outcome: Outcome = Outcome.REJECTED, code: int = 550) -> Verdict:
    enhanced = text.partition(" ")[0] if text[:1].isdigit() else ""
    return Verdict(outcome, code, enhanced, text, "relay")


@pytest.mark.parametrize(
    ("verdict", "bad"),
    [
        (refused("5.1.1 user unknown"), True),
        (refused("5.2.2 mailbox full"), False),
        (refused("4.2.2 mailbox full", Outcome.EXPIRED, 452), False),
        # what is tried again has not failed yet
        (refused("4.2.2 mailbox full", Outcome.DEFERRED, 452), None),
        # nothing that is ours, the relay's or the receiver's rules says anything of an address
        (refused("5.7.1 Relay access denied", Outcome.EXPIRED, 554), None),
        (refused("5.7.26 DMARC"), None),
        (refused("5.7.1 blocked using zen.spamhaus.org"), None),
        (refused("5.7.1 message content rejected"), None),
        (refused("no answer in time", Outcome.EXPIRED, 0), None),
        (refused("the address needs SMTPUTF8", Outcome.REJECTED, 0), None),
        (ACCEPTED, None),
    ],
)
def test_failures_of_the_address_go_with_the_fact(
    ledger: FakeLedger, verdict: Verdict, bad: bool | None
) -> None:
    job = FakeRun(campaign=7).job(1)
    job.recipient = b"who@example.org"
    recording(lambda recorder: recorder.report(job, verdict))
    [(_, [batch])] = ledger.calls
    if bad is None:
        assert batch.failures == []
    else:
        assert batch.failures == [Failure("acme", 7, "who@example.org", 1_000.0, bad)]


def test_failures_are_written_again_with_their_facts(ledger: FakeLedger) -> None:
    ledger.failures = [StoreOutage("lost", ambiguous=True)]
    recording(lambda recorder: recorder.report(FakeRun().job(1), refused("5.1.1 no")))
    assert [len(batch.failures) for _, [batch] in ledger.calls] == [1, 1]


def test_final_refusals_are_counted_by_class_when_committed(ledger: FakeLedger) -> None:
    before = _bounces("address_bad")
    ledger.failures = [StoreOutage("away")]
    recording(lambda recorder: recorder.report(FakeRun().job(1), refused("5.1.1 no")))
    assert _bounces("address_bad") == before + 1


def _bounces(bounce: str) -> float:
    labels = {"bounce": bounce, "relay": "relay"}
    return metrics.registry.get_sample_value("campaignd_bounces_total", labels) or 0.0


def test_brakes_see_what_receivers_answered(ledger: FakeLedger) -> None:
    brakes = Brakes(Limits(sample=2))

    async def main() -> None:
        recorder = Recorder(cast(Database, None), "host", lambda: 1_000.0, brakes=brakes)
        async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
            tasks.create_task(recorder.run())
            for seq, verdict in enumerate(
                [
                    refused("5.1.1 no"),
                    refused("5.1.1 no"),
                    refused("no answer in time", Outcome.DEFERRED, 0),
                    refused("5.7.1 Relay access denied", Outcome.DEFERRED, 554),
                ]
            ):
                job = FakeRun(campaign=7).job(seq)
                job.recipient = b"who@d%d.example" % seq
                recorder.report(job, verdict)
            recorder.close()

    asyncio.run(main())
    brake = brakes.judge(7, 1_000.0)
    assert brake is not None
    assert "100 % of 2 attempts rejected" in brake.reason
