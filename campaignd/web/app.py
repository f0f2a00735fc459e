"""The application: which path leads where, and what holds for every answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from campaignd import events
from campaignd.tokens import TokenKeys
from campaignd.web.pages import Page, Pages
from campaignd.web.records import Records
from campaignd.web.unsubscribe import Unsubscribe
from campaignd.web.visitors import Visitors
from campaignd.web.webhooks.endpoint import Webhooks
from campaignd.web.webhooks.notice import Provider

HEADERS: Final = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex, nofollow",
}
"""Of every answer: a link is a secret, and nothing may keep it or pass it on."""


def build(
    keys: TokenKeys,
    records: Records,
    pages: Pages,
    visitors: Visitors,
    providers: Mapping[str, Provider],
    *,
    prefix: str = "",
) -> Starlette:
    """`prefix` is the path of [links] url: it may reach us or be cut off by the proxy, so that
    both ways lead to the same."""
    unsubscribe = Unsubscribe(keys, records, pages, visitors)
    webhooks = Webhooks(providers, keys, records, visitors)

    async def elsewhere(request: Request) -> Response:
        visitors.failed(request)
        return pages.answer(Page.INVALID, request.headers.get("accept-language", ""))

    routes = []
    for start in dict.fromkeys((prefix.rstrip("/"), "")):
        routes += [
            Route(start + "/u/{token:path}", unsubscribe.answer, methods=["GET", "POST"]),
            Route(start + "/webhooks/{name}", webhooks.answer, methods=["POST"]),
        ]
    routes.append(Route("/{path:path}", elsewhere, methods=["GET"]))
    # The last route matches everything, so that Starlette never redirects: many clients send a POST
    # that is redirected on as a GET.
    return Starlette(routes=routes, middleware=[Middleware(_Guard)])


class _Guard:
    """Sets HEADERS, and answers for a bug: with its traceback in our log and none in the answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def guarded(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self._app(scope, receive, guarded)
        except Exception as error:
            events.crashed(error)
            if started:
                raise
            answer = PlainTextResponse("something is wrong here\n", status_code=500)
            await answer(scope, receive, guarded)
