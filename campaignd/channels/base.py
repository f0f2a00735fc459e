"""What the pipeline asks of a channel: compile a campaign, and carry its jobs.

A channel for SMS or push implements the same two protocols with its own lane behind them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from campaignd.config import Config
from campaignd.model import Job, RetryPolicy, SendRight, UnknownPolicy


class CompiledCampaign(Protocol):
    """A campaign, ready to be composed for one recipient after the other."""

    @property
    def policy(self) -> UnknownPolicy: ...

    @property
    def retry(self) -> RetryPolicy: ...

    @property
    def shared_octets(self) -> int:
        """Of memory that the files take which all messages carry."""
        ...

    def job(
        self,
        owner: object,
        right: SendRight,
        shard: int,
        seq: int,
        attempt: int,
        maybe_duplicate: bool,
        address: str,
        values: Sequence[Any],
    ) -> Job:
        """One attempt, composed. Raises RowError when this recipient cannot be composed."""
        ...


class Channel(Protocol):
    """A lane to receivers. It pulls from the queue that it was made with, and reports each job
    exactly once, by a verdict or by putting it back unattempted."""

    def compile(self, campaign: int, spec: bytes, fields: Sequence[str]) -> CompiledCampaign:
        """Raises TemplateError."""
        ...

    @property
    def capacity(self) -> int:
        """How many jobs the lane can have in flight at once, by its configuration."""
        ...

    @property
    def in_flight(self) -> int: ...

    @property
    def open_sessions(self) -> int: ...

    async def run(self) -> None:
        """Carries jobs until cancelled."""
        ...

    def wake(self) -> None:
        """The queue has jobs."""
        ...

    def abort(self) -> None:
        """Drops every session; what was in flight is reported by its phase."""
        ...

    def reconfigure(self, config: Config) -> None:
        """Takes over new limits, relays and keys. Raises ConfigError, and then changes nothing."""
        ...

    def report(self) -> list[dict[str, Any]]:
        """The state of each relay, as `status` shows it."""
        ...
