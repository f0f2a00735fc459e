"""`/u/TOKEN`: a POST unsubscribes at once (RFC 8058), everything else changes nothing.

Programs that follow links in messages send GET and HEAD, so those show a page with a button. The
token alone says who is meant, and the key alone whether it is good: no cookie, no session, and no
look into the database before something is to be written there.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from campaignd import events, metrics
from campaignd.errors import Outage, StoreOutage, UsageError
from campaignd.feedback import Event, Feedback, Taken
from campaignd.tokens import TOKEN_DIGITS, Purpose, RecipientId, TokenError, TokenKeys
from campaignd.web.body import BodyRefused, read_body
from campaignd.web.pages import Page, Pages
from campaignd.web.records import Records
from campaignd.web.visitors import Visitors

MAX_BODY: Final = 65_536

PATIENCE_SECONDS: Final = 10.0
"""How long a POST waits for MySQL, away or frozen: a restart or a failover takes seconds, and
whoever is told to come again may never do so. Longer than a lock wait (store/db.py)."""

PAUSE_SECONDS: Final = 0.5
RETRY_SECONDS: Final = 60

_PAGES: Final = {
    Taken.RECORDED: Page.DONE,
    Taken.REPEATED: Page.ALREADY,
    Taken.NO_CAMPAIGN: Page.PURGED,
    Taken.NO_RECIPIENT: Page.PURGED,
}


class Unsubscribe:
    """The endpoint."""

    def __init__(self, keys: TokenKeys, records: Records, pages: Pages, visitors: Visitors) -> None:
        self._keys = keys
        self._records = records
        self._pages = pages
        self._visitors = visitors

    async def answer(self, request: Request) -> Response:
        """Serves one request."""
        try:
            recipient = self._keys.open(Purpose.UNSUBSCRIBE, _token(request))
        except TokenError:
            return self._invalid(request)
        wait = self._visitors.repeat(recipient)
        if wait:
            return self._page(request, Page.BUSY, retry_seconds=wait)
        if request.method != "POST":
            return self._page(request, Page.TEST if _is_test(recipient) else Page.ASK)
        try:
            body = await read_body(request, MAX_BODY)
        except BodyRefused as refused:
            return self._page(request, Page.REFUSED, status=refused.status)
        if _is_test(recipient):
            _count("test")
            return self._page(request, Page.TEST)
        # Whatever the body says, or has lost on its way: that this is a POST is enough.
        source = "one-click" if b"One-Click" in body else "page"
        return await self._take(request, recipient, source)

    async def _take(self, request: Request, recipient: RecipientId, source: str) -> Response:
        now = time.time()
        feedback = Feedback(Event.UNSUBSCRIBED, recipient, now, source)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                taken = await self._recorded(feedback, now)
        except TimeoutError:
            events.store_outage("unsubscribe", StoreOutage("no answer in time"))
            _count("outage")
            return self._page(request, Page.AWAY, retry_seconds=RETRY_SECONDS)
        _count(taken.value)
        return self._page(request, _PAGES[taken])

    async def _recorded(self, feedback: Feedback, now: float) -> Taken:
        """Tries until it is."""
        while True:
            try:
                return await self._records.take(feedback, now)
            except (Outage, UsageError) as error:
                events.store_outage("unsubscribe", error)
            await asyncio.sleep(PAUSE_SECONDS)

    def _invalid(self, request: Request) -> Response:
        wait = self._visitors.failed(request)
        if wait:
            return self._page(request, Page.BUSY, retry_seconds=wait)
        _count("forged")
        return self._page(request, Page.INVALID)

    def _page(
        self,
        request: Request,
        page: Page,
        *,
        status: int | None = None,
        retry_seconds: int | None = None,
    ) -> Response:
        languages = request.headers.get("accept-language", "")
        return self._pages.answer(page, languages, status=status, retry_seconds=retry_seconds)


def _token(request: Request) -> str:
    """Programs that make links of text often take the punctuation after one for a part of it."""
    text: str = request.path_params["token"]
    return text[:TOKEN_DIGITS] if not any(c.isalnum() for c in text[TOKEN_DIGITS:]) else ""


def _is_test(recipient: RecipientId) -> bool:
    """`send-test` signs for a campaign that there is not."""
    return recipient.campaign == 0


def _count(result: str) -> None:
    metrics.unsubscribes.labels(result).inc()
