"""Jobs, and a source of them, as the pipeline would make them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable

from campaignd.model import Job, SendRight, Verdict

FOREVER = 1e12


def make_job(
    seq: int = 1,
    *,
    sender: bytes = b"news@acme.example",
    recipient: bytes | None = None,
    message: bytes | None = None,
    right: SendRight | None = None,
    eight_bit: bool = False,
    smtputf8: bool = False,
    recode: Callable[[], bytes] | None = None,
    tail: bytes = b"",
) -> Job:
    """A job that any server should take."""
    return Job(
        None,
        right or SendRight(FOREVER),
        seq,
        1,
        False,
        sender,
        b"user%d@example.com" % seq if recipient is None else recipient,
        b"Subject: %d\r\n\r\nhello\r\n.\r\n" % seq if message is None else message,
        eight_bit,
        smtputf8,
        recode,
        tail=tail,
    )


class Source:
    """A JobSource without a bound, which drops what comes back after its right has ended."""

    def __init__(self, jobs: Iterable[Job] = ()) -> None:
        self.jobs = deque(jobs)
        self.put_backs: list[int] = []
        self.dropped: list[Job] = []

    def __len__(self) -> int:
        return len(self.jobs)

    def get(self) -> Job | None:
        return self.jobs.popleft() if self.jobs else None

    def put_back(self, job: Job) -> None:
        self.put_backs.append(job.seq)
        if time.monotonic() >= job.right.deadline:
            self.dropped.append(job)
        else:
            self.jobs.appendleft(job)


class Reports:
    """A Report that remembers, and fails the test at a second verdict for one job."""

    def __init__(self) -> None:
        self.verdicts: dict[int, Verdict] = {}

    def __call__(self, job: Job, verdict: Verdict) -> None:
        assert job.seq not in self.verdicts, f"two verdicts for job {job.seq}"
        self.verdicts[job.seq] = verdict
