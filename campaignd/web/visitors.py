"""Limits on requests.

A token of ours is checked in microseconds, and whoever has one may use it: mailbox providers
unsubscribe many people from a few addresses, and other providers deliver notices for all their
customers from there. So what is limited is repeating one token, and failing: forged tokens, bad
signatures and wrong paths, by client. What proves to be good is served, whoever sent it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Hashable

from starlette.requests import Request

from campaignd import metrics
from campaignd.web.budgets import Budgets
from campaignd.web.clients import Clients


class Visitors:
    """Methods return 0, or the whole seconds after which to ask again."""

    def __init__(self, clients: Clients, rate: float) -> None:
        """`rate`: requests a second of one token, and failures a second of one client."""
        self._clients = clients
        self._budgets = Budgets(rate)

    def repeat(self, token: Hashable) -> int:
        """A request with a good token."""
        return _limited(self._budgets.spend(("token", token), time.monotonic()))

    def failed(self, request: Request) -> int:
        """A request that cannot be served, by whoever sent it."""
        return _limited(self._budgets.spend(self._client(request), time.monotonic()))

    def _client(self, request: Request) -> Hashable:
        peer = request.client.host if request.client is not None else ""
        return self._clients.key(peer, request.headers.getlist("x-forwarded-for"))


def _limited(wait: float) -> int:
    if wait:
        metrics.web_limited.inc()
    return math.ceil(wait)
