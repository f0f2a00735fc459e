"""The email channel: compose for SMTP, deliver through a pool of relay sessions."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from campaignd import metrics
from campaignd.compose import Composer, date_header, decode_spec
from campaignd.config import Config
from campaignd.model import Job, RetryPolicy, SendRight, UnknownPolicy
from campaignd.net.jobs import JobSource, Report
from campaignd.net.pool import Pool


class EmailCampaign:
    """See base.CompiledCampaign."""

    def __init__(self, composer: Composer, policy: UnknownPolicy, retry: RetryPolicy,
                 offers_eight_bit: Callable[[], bool]) -> None:  # fmt: skip
        self.policy = policy
        self.retry = retry
        self._composer = composer
        self._offers_eight_bit = offers_eight_bit
        self._second = 0
        self._date = b""

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
        """See base.CompiledCampaign."""
        second = int(time.time())
        if second != self._second:
            self._second, self._date = second, date_header(second)
        compose = self._composer.compose
        date = self._date
        composed = compose(
            shard, seq, address, values, date=date, eight_bit=self._offers_eight_bit()
        )
        recode: Callable[[], bytes] | None = None
        if composed.eight_bit:
            recode = partial(self._recode, shard, seq, address, values, date)
        return Job(
            owner,
            right,
            seq,
            attempt,
            maybe_duplicate,
            self._composer.envelope_sender,
            address.encode(),
            composed.message,
            composed.eight_bit,
            composed.smtputf8,
            recode,
        )

    def _recode(
        self, shard: int, seq: int, address: str, values: Sequence[Any], date: bytes
    ) -> bytes:
        composed = self._composer.compose(shard, seq, address, values, date=date, eight_bit=False)
        return composed.message


class EmailChannel:
    """See base.Channel."""

    def __init__(self, config: Config, source: JobSource, report: Report, *, host: str) -> None:
        self._pool = Pool(config, source, report, host=host)
        self._capacity = _connections(config)
        self.wake = self._pool.wake
        self.abort = self._pool.abort

    def compile(self, campaign: int, spec: bytes, fields: Sequence[str]) -> EmailCampaign:
        """See base.Channel."""
        decoded = decode_spec(spec)
        return EmailCampaign(
            Composer(decoded, campaign, fields),
            decoded.unknown,
            decoded.retry,
            lambda: self._pool.eight_bit,
        )

    @property
    def capacity(self) -> int:
        """See base.Channel."""
        return self._capacity

    @property
    def in_flight(self) -> int:
        """See base.Channel."""
        return self._pool.in_flight

    @property
    def open_sessions(self) -> int:
        """See base.Channel."""
        return self._pool.open_sessions

    async def run(self) -> None:
        """See base.Channel."""
        await self._pool.run()

    def reconfigure(self, config: Config) -> None:
        """See base.Channel."""
        self._pool.reconfigure(config)
        self._capacity = _connections(config)

    def report(self) -> list[dict[str, Any]]:
        """See base.Channel."""
        found = []
        for relay in self._pool.relays():
            metrics.relay_up.labels(relay.name).set(relay.state == "up")
            found.append(relay._asdict())
        return found


def _connections(config: Config) -> int:
    return sum(relay.connections for relay in config.relay)
