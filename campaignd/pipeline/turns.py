"""Turns: who may claim next, and how much may be claimed and not yet recorded on this host.

The bound is what keeps memory flat, what holds results while MySQL is away, and what a crash can
leave ambiguous. Turns go round the accounts, within an account round its campaigns, and within a
campaign to the shard that waits longest: nobody starves.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from typing import Final

LEAST_GRANT: Final = 128
"""A turn is not given for fewer, unless fewer were asked for or that is more than a quarter of the
capacity: each costs a commit and a read. At full rate room comes back a few at a time; with 32 here
the daemon took 7 % more CPU for a message, and MySQL a third more statements."""


class _Waiter:
    __slots__ = ("asked", "granted")

    def __init__(self, asked: int) -> None:
        self.asked = asked
        self.granted: asyncio.Future[int] = asyncio.get_running_loop().create_future()


_Campaigns = OrderedDict[int, deque[_Waiter]]


class Turns:
    """`capacity` is the number of recipients that may be claimed and not yet recorded."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.used = 0
        self._accounts: OrderedDict[str, _Campaigns] = OrderedDict()

    async def take(self, account: str, campaign: int, asked: int) -> int:
        """Waits for a turn; returns how many recipients may be claimed, 1 to `asked`."""
        if not self._accounts and self._fits(asked):
            return self._grant(asked)
        waiter = _Waiter(asked)
        self._accounts.setdefault(account, OrderedDict()).setdefault(campaign, deque()).append(
            waiter
        )
        try:
            return await waiter.granted
        except asyncio.CancelledError:
            if waiter.granted.done() and not waiter.granted.cancelled():
                self.release(waiter.granted.result())
            else:
                self._forget(account, campaign, waiter)
            raise

    def release(self, count: int) -> None:
        """`count` recipients are recorded, or were returned unattempted."""
        self.used -= count
        self.serve()

    def serve(self) -> None:
        """Gives turns while there is room; call it after raising `capacity`."""
        while self._accounts:
            account, campaigns = next(iter(self._accounts.items()))
            campaign, waiters = next(iter(campaigns.items()))
            if not self._fits(waiters[0].asked):
                return
            waiter = waiters.popleft()
            # To the end of both rounds, if anything is left there at all.
            del campaigns[campaign]
            if waiters:
                campaigns[campaign] = waiters
            del self._accounts[account]
            if campaigns:
                self._accounts[account] = campaigns
            if not waiter.granted.done():
                waiter.granted.set_result(self._grant(waiter.asked))

    def _fits(self, asked: int) -> bool:
        least = min(asked, LEAST_GRANT, max(1, self.capacity // 4))
        return self.capacity - self.used >= least

    def _grant(self, asked: int) -> int:
        granted = min(asked, self.capacity - self.used)
        self.used += granted
        return granted

    def _forget(self, account: str, campaign: int, waiter: _Waiter) -> None:
        campaigns = self._accounts.get(account)
        waiters = campaigns.get(campaign) if campaigns is not None else None
        if campaigns is None or waiters is None or waiter not in waiters:
            return
        waiters.remove(waiter)
        if not waiters:
            del campaigns[campaign]
        if not campaigns:
            del self._accounts[account]
        self.serve()
