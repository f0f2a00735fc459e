"""The queue of composed jobs between the shard runs and a lane.

Bounded by `Turns`: every job in it holds a part of a turn. It never gives out a job whose shard
run has stopped; such a job goes back to its run as unattempted. Nor one that has waited so long
that its recipient may have been suppressed since: its run looks again.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol, cast

from campaignd.model import Job

FRESH_SECONDS: Final = 4.0
"""How long a job may wait since its recipient was read. A suppression is obeyed when it is 5 s old;
what is left of that is for its commit and for the session that takes the job."""


class Owner(Protocol):
    """Who gets a job back."""

    stopped: bool

    def give_back(self, job: Job) -> None:
        """The job was not attempted and will not be."""
        ...

    def right_ended(self) -> None:
        """A lane found that the right to send is over (R3)."""
        ...

    def outdated(self, job: Job) -> None:
        """The job has waited for FRESH_SECONDS: to be put back when it has been looked at."""
        ...


class JobQueue:
    """First in, first out; what comes back unattempted goes to the front."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._jobs: deque[Job] = deque()

    def __len__(self) -> int:
        return len(self._jobs)

    def put(self, job: Job) -> None:
        """Adds a job at the end."""
        self._jobs.append(job)

    def get(self) -> Job | None:
        """The next job to attempt, or None."""
        jobs = self._jobs
        oldest = self._clock() - FRESH_SECONDS
        while jobs:
            job = jobs.popleft()
            owner = cast(Owner, job.owner)
            if owner.stopped:
                owner.give_back(job)
            elif job.read_at < oldest:
                owner.outdated(job)
            else:
                return job
        return None

    def put_back(self, job: Job) -> None:
        """Takes a job back that a lane did not attempt."""
        owner = cast(Owner, job.owner)
        if self._clock() >= job.right.deadline:
            owner.right_ended()
        if owner.stopped:
            owner.give_back(job)
        else:
            self._jobs.appendleft(job)

    def drop(self, owner: object) -> None:
        """Gives every job of a stopped run back to it."""
        kept = [job for job in self._jobs if job.owner is not owner]
        dropped = [job for job in self._jobs if job.owner is owner]
        self._jobs = deque(kept)
        for job in dropped:
            cast(Owner, job.owner).give_back(job)
