"""Delivers one message outside of any campaign, by the way that campaigns go."""

from __future__ import annotations

import asyncio
import math
import time
from typing import Final

from campaignd.compose.composer import Composed
from campaignd.compose.spec import CampaignSpec, split_mailbox
from campaignd.config import Config
from campaignd.dkim import load_keys
from campaignd.errors import RelayOutage, UsageError
from campaignd.model import Job, SendRight, Verdict
from campaignd.net.pool import Pool

DELIVER_SECONDS: Final = 60.0
"""After this long without an answer the sender is told so. A healthy relay needs below 1 s."""

_LOOK_SECONDS: Final = 0.1
"""How often relays are looked at."""

_QUIT_SECONDS: Final = 1.0
"""For a polite end of the session; a message that is not answered by then is left to its phase."""


class _One:
    """A JobSource of one job."""

    def __init__(self, job: Job) -> None:
        self._job: Job | None = job

    def get(self) -> Job | None:
        job, self._job = self._job, None
        return job

    def put_back(self, job: Job) -> None:
        self._job = job

    def __len__(self) -> int:
        return 0 if self._job is None else 1


def signed(config: Config, spec: CampaignSpec, composed: Composed) -> Composed:
    """The same message, signed by the keys that sign the campaign, if there are any.

    Raises ConfigError for a key that cannot be used.
    """
    domain = split_mailbox(spec.sender)[1].rpartition("@")[2]
    signer = load_keys(config).signer(domain, spec.account)
    if signer is None:
        return composed
    message = signer.sign(composed.message, composed.tail, int(time.time()))
    return composed._replace(message=message)


async def deliver(config: Config, recipient: str, composed: Composed) -> Verdict:
    """One attempt through the first relay that takes connections; its outcome, whatever it is.

    `composed` must be without octets above 127, but for an SMTPUTF8 address. Raises RelayOutage
    if no relay can be used, UsageError if none is configured.
    """
    if not config.relay:
        raise UsageError("no relay is configured: add a [[relay]]")
    job = Job(
        None,
        SendRight(math.inf),
        1,
        1,
        False,
        composed.sender,
        recipient.encode(),
        composed.message,
        composed.eight_bit,
        composed.smtputf8,
        lambda: composed.message,
        tail=composed.tail,
    )
    verdict: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()

    def report(_: Job, found: Verdict) -> None:
        if not verdict.done():
            verdict.set_result(found)

    pool = Pool(config, _One(job), report, host=config.daemon.host)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(pool.run())
        trouble = await _answer(pool, verdict)
        await pool.drain(_QUIT_SECONDS)
        running.cancel()
    if verdict.done():
        return verdict.result()
    raise RelayOutage(trouble)


async def _answer(pool: Pool, verdict: asyncio.Future[Verdict]) -> str:
    """Waits for the verdict; says why not if there is none."""
    deadline = time.monotonic() + DELIVER_SECONDS
    while not verdict.done():
        if not pool.in_flight and all(relay.state == "backoff" for relay in pool.relays()):
            return f"no relay can be used: {_errors(pool)}"
        if time.monotonic() > deadline:
            return f"no answer within {DELIVER_SECONDS:g} s: {_errors(pool)}"
        await asyncio.wait([verdict], timeout=_LOOK_SECONDS)
    return ""


def _errors(pool: Pool) -> str:
    return "; ".join(f"{relay.name}: {relay.last_error or 'waiting'}" for relay in pool.relays())
