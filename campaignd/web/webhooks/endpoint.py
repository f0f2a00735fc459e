"""`/webhooks/NAME`: proves a provider's request, and records what it says before it answers 200.

A 503 makes the provider try again later, which is safe: what was recorded before is recorded once.
To some, such as SNS, a 4xx is an answer: it is for what is not the provider's, and for nothing that
may be right the next time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from campaignd import events, metrics
from campaignd.errors import Outage, UsageError
from campaignd.feedback import Feedback
from campaignd.tokens import TokenKeys
from campaignd.web.body import BodyRefused, Room, read_body
from campaignd.web.records import Records
from campaignd.web.visitors import Visitors
from campaignd.web.webhooks.fetch import FetchOutage
from campaignd.web.webhooks.marks import recipient_in
from campaignd.web.webhooks.notice import Incoming, Notice, Provider, Refused

MAX_BODY: Final = 1_048_576
"""SendGrid's batches, the largest there are, end at 768 KB."""

ROOM: Final = 67_108_864
"""Octets of all bodies that are being read: anybody may send them, and CONNECTIONS of the largest
are more than the memory that the service has (systemd/campaignd-web.service)."""

AT_ONCE: Final = 4
"""Notices of one request recorded at the same time: half of the connections."""

RETRY_SECONDS: Final = 60

_BODY_REASONS: Final = {413: "size", 408: "slow", 503: "busy"}


class Webhooks:
    """The endpoint of all configured webhooks."""

    def __init__(
        self,
        providers: Mapping[str, Provider],
        keys: TokenKeys,
        records: Records,
        visitors: Visitors,
    ) -> None:
        self._providers = providers
        self._keys = keys
        self._records = records
        self._visitors = visitors
        self._room = Room(ROOM)

    async def answer(self, request: Request) -> Response:
        """Serves one request."""
        name = request.path_params["name"]
        provider = self._providers.get(name)
        if provider is None:
            return self._failed(request, 404, "no such webhook")
        try:
            return await self._served(request, name, provider)
        except BodyRefused as refused:
            reason = _BODY_REASONS[refused.status]
            _refused(name, reason)
            if refused.status == 413:
                return self._failed(request, 413, reason)
        except Refused as refused:
            _refused(name, refused.reason)
            return self._failed(request, refused.status, refused.reason)
        except FetchOutage as error:
            events.webhook_trouble(name, error)
        except (Outage, UsageError) as error:
            events.store_outage(f"webhook {name}", error)
        return _answer(503, "try again later", RETRY_SECONDS)

    async def _served(self, request: Request, name: str, provider: Provider) -> Response:
        body = await read_body(request, MAX_BODY, room=self._room)
        headers = dict(request.headers)
        found = await provider.notices(Incoming(headers, body, time.time()))
        gate, troubles = asyncio.Semaphore(AT_ONCE), list[Exception]()
        async with asyncio.TaskGroup() as tasks:
            for notice in found:
                tasks.create_task(self._record(name, notice, gate, troubles))
        if troubles:
            raise troubles[0]
        return _answer(200, "ok")

    async def _record(
        self, name: str, notice: Notice, gate: asyncio.Semaphore, troubles: list[Exception]
    ) -> None:
        recipient = recipient_in(self._keys, notice.marks)
        if recipient is None or recipient.campaign == 0:  # somebody else's, or a test's
            metrics.webhook_notices.labels(name, "foreign" if recipient is None else "test").inc()
            return
        feedback = Feedback(
            notice.event,
            recipient,
            notice.at,
            name,
            notice.enhanced,
            notice.detail,
            notice.permanent,
        )
        async with gate:
            if troubles:  # the provider will try all of it again
                return
            try:
                taken = await self._records.take(feedback, time.time())
            except (Outage, UsageError) as error:
                troubles.append(error)
                return
        metrics.webhook_notices.labels(name, taken.value).inc()

    def _failed(self, request: Request, status: int, text: str) -> Response:
        wait = self._visitors.failed(request)
        return _answer(429, "too many requests", wait) if wait else _answer(status, text)


def _refused(name: str, reason: str) -> None:
    metrics.webhook_refused.labels(name, reason).inc()
    events.webhook_refused(name, reason)


def _answer(status: int, text: str, retry_seconds: int | None = None) -> Response:
    headers: dict[str, str] = {}
    if retry_seconds is not None:
        headers["Retry-After"] = str(retry_seconds)
    if status == 401:
        headers["WWW-Authenticate"] = 'Basic realm="webhook"'
    return PlainTextResponse(f"{text}\n", status_code=status, headers=headers)
