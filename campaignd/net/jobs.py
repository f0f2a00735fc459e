"""What the pool and the pipeline say to each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from campaignd.model import Job, Verdict


class JobSource(Protocol):
    """Where jobs come from; all calls are synchronous and cheap."""

    def get(self) -> Job | None:
        """The next job, or None when there is none now."""
        ...

    def put_back(self, job: Job) -> None:
        """A job that was not attempted; it goes to the front, or is dropped if its right to
        send has ended."""
        ...

    def __len__(self) -> int: ...


Report = Callable[[Job, Verdict], None]
"""Called exactly once for every job that was attempted or judged; synchronous and cheap."""
