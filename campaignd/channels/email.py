"""The email channel: compose for SMTP, deliver through a pool of relay sessions."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from campaignd import metrics
from campaignd.compose import Composer, date_header, decode_spec
from campaignd.compose.links import load_links
from campaignd.compose.spec import split_mailbox
from campaignd.config import Config
from campaignd.dkim import Signer, SigningKey, load_keys
from campaignd.model import Job, RetryPolicy, SendRight, UnknownPolicy
from campaignd.net.jobs import JobSource, Report
from campaignd.net.pool import Pool


class EmailCampaign:
    """See base.CompiledCampaign."""

    def __init__(self, composer: Composer, policy: UnknownPolicy, retry: RetryPolicy,
                 offers_eight_bit: Callable[[], bool],
                 find_keys: Callable[[], tuple[SigningKey, ...]]) -> None:  # fmt: skip
        self.policy = policy
        self.retry = retry
        self._composer = composer
        self._offers_eight_bit = offers_eight_bit
        self._find_keys = find_keys
        self._keys: tuple[SigningKey, ...] = ()
        self._signer: Signer | None = None
        self._find_signer()
        self._second = 0
        self._date = b""

    @property
    def shared_octets(self) -> int:
        """See base.CompiledCampaign. A signer keeps the files once more, in canonical form."""
        octets = self._composer.shared_octets
        return octets if self._signer is None else 2 * octets

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
            self._find_signer()
        compose = self._composer.compose
        date, signer = self._date, self._signer
        # What is signed must not be recoded on its way (RFC 6376, 5.3).
        eight_bit = signer is None and self._offers_eight_bit()
        composed = compose(shard, seq, address, values, date=date, eight_bit=eight_bit)
        recode: Callable[[], bytes] | None = None
        if composed.eight_bit and signer is None:
            recode = partial(self._recode, shard, seq, address, values, date)
        return Job(
            owner,
            right,
            seq,
            attempt,
            maybe_duplicate,
            composed.sender,
            address.encode(),
            composed.message,
            composed.eight_bit,
            composed.smtputf8,
            recode,
            None if signer is None else signer.sign,
            composed.tail,
        )

    def _find_signer(self) -> None:
        """Makes the signer anew if the configuration has other keys now."""
        keys = self._find_keys()
        if keys != self._keys:
            self._keys = keys
            self._signer = Signer(keys) if keys else None

    def _recode(
        self, shard: int, seq: int, address: str, values: Sequence[Any], date: bytes
    ) -> bytes:
        composed = self._composer.compose(shard, seq, address, values, date=date, eight_bit=False)
        return composed.message


class EmailChannel:
    """See base.Channel. Raises ConfigError for a key that cannot be used."""

    def __init__(self, config: Config, source: JobSource, report: Report, *, host: str) -> None:
        self._pool = Pool(config, source, report, host=host)
        self._capacity = _connections(config)
        self._links = load_links(config)
        self._keys = load_keys(config)
        self.wake = self._pool.wake
        self.abort = self._pool.abort

    def compile(self, campaign: int, spec: bytes, fields: Sequence[str]) -> EmailCampaign:
        """See base.Channel."""
        decoded = decode_spec(spec)
        domain = split_mailbox(decoded.sender)[1].rpartition("@")[2]
        return EmailCampaign(
            Composer(decoded, campaign, fields, self._links),
            decoded.unknown,
            decoded.retry,
            lambda: self._pool.eight_bit,
            lambda: self._keys.find(domain, decoded.account),
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
        keys = load_keys(config)
        self._pool.reconfigure(config)
        self._keys = keys
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
