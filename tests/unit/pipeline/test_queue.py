from __future__ import annotations

import math

from campaignd.model import Job, SendRight
from campaignd.pipeline.queue import FRESH_SECONDS, JobQueue


class FakeOwner:
    def __init__(self) -> None:
        self.stopped = False
        self.returned: list[int] = []
        self.waited: list[Job] = []
        self.right = SendRight(100.0)

    def give_back(self, job: Job) -> None:
        self.returned.append(job.seq)

    def right_ended(self) -> None:
        self.stopped = True

    def outdated(self, job: Job) -> None:
        self.waited.append(job)

    def job(self, seq: int, read_at: float = math.inf) -> Job:
        job = Job(self, self.right, seq, 1, False, b"", b"r@example.org", b"")
        job.read_at = read_at
        return job


def queue(now: float = 0.0) -> JobQueue:
    return JobQueue(lambda: now)


def test_first_in_first_out() -> None:
    owner, jobs = FakeOwner(), queue()
    for seq in (1, 2):
        jobs.put(owner.job(seq))
    assert len(jobs) == 2
    assert [job.seq for job in (jobs.get(), jobs.get()) if job is not None] == [1, 2]
    assert jobs.get() is None


def test_what_comes_back_goes_to_the_front() -> None:
    owner, jobs = FakeOwner(), queue()
    for seq in (1, 2):
        jobs.put(owner.job(seq))
    first = jobs.get()
    assert first is not None
    jobs.put_back(first)
    assert jobs.get() is first
    assert owner.returned == []


def test_jobs_of_a_stopped_run_go_back_to_it() -> None:
    stopping, other, jobs = FakeOwner(), FakeOwner(), queue()
    jobs.put(stopping.job(1))
    jobs.put(other.job(2))
    jobs.put(stopping.job(3))
    stopping.stopped = True
    found = jobs.get()
    assert found is not None
    assert found.seq == 2
    assert jobs.get() is None
    assert stopping.returned == [1, 3]


def test_a_returned_job_of_a_stopped_run_goes_back_to_it() -> None:
    owner, jobs = FakeOwner(), queue()
    owner.stopped = True
    jobs.put_back(owner.job(1))
    assert owner.returned == [1]
    assert len(jobs) == 0


def test_a_job_returned_after_its_deadline_ends_the_right() -> None:
    owner, jobs = FakeOwner(), queue(now=100.0)
    jobs.put_back(owner.job(1))
    assert owner.stopped
    assert owner.returned == [1]


def test_drop_returns_the_jobs_of_one_run() -> None:
    one, two, jobs = FakeOwner(), FakeOwner(), queue()
    for owner, seq in ((one, 1), (two, 2), (one, 3), (two, 4)):
        jobs.put(owner.job(seq))
    one.stopped = True
    jobs.drop(one)
    assert one.returned == [1, 3]
    assert [job.seq for job in (jobs.get(), jobs.get()) if job is not None] == [2, 4]


def test_what_has_waited_long_is_looked_at_again() -> None:
    """Whoever it is for may have been suppressed since."""
    owner, jobs = FakeOwner(), queue(now=50.0)
    old, fresh = owner.job(1, 50.0 - FRESH_SECONDS - 0.1), owner.job(2, 50.0 - FRESH_SECONDS)
    jobs.put(old)
    jobs.put(fresh)
    assert jobs.get() is fresh
    assert owner.waited == [old]
    old.read_at = 50.0
    jobs.put_back(old)
    assert jobs.get() is old


def test_what_has_waited_long_goes_back_to_a_stopped_run() -> None:
    owner, jobs = FakeOwner(), queue(now=50.0)
    jobs.put(owner.job(1, 0.0))
    owner.stopped = True
    assert jobs.get() is None
    assert (owner.returned, owner.waited) == ([1], [])
