"""The web application without sockets and without MySQL."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from campaignd.feedback import Event, Feedback, Taken
from campaignd.tokens import Purpose, RecipientId, TokenKeys
from campaignd.web import app
from campaignd.web.clients import Clients
from campaignd.web.pages import Pages
from campaignd.web.visitors import Visitors
from campaignd.web.webhooks.notice import Provider

KEYS = TokenKeys([b"k" * 32])
SOMEBODY = RecipientId(7, 0, 3)


def token(
    recipient: RecipientId = SOMEBODY, purpose: Purpose = Purpose.UNSUBSCRIBE, keys: Any = KEYS
) -> str:
    """What a message to that recipient holds."""
    sign = keys.signer(purpose, recipient.campaign)
    return str(sign(recipient.shard, recipient.seq).decode())


class Memory:
    """Stands in for the store: remembers what it was told."""

    def __init__(self, purged: Sequence[int] = ()) -> None:
        self.taken: list[Feedback] = []
        self.purged = purged
        self.away: Exception | None = None
        self.known: set[tuple[RecipientId, Event]] = set()

    async def take(self, feedback: Feedback, now: float) -> Taken:
        if self.away is not None:
            raise self.away
        if feedback.recipient.campaign in self.purged:
            return Taken.NO_CAMPAIGN
        self.taken.append(feedback)
        key = (feedback.recipient, feedback.event)
        repeated = key in self.known
        self.known.add(key)
        return Taken.REPEATED if repeated else Taken.RECORDED


class Site:
    """An application and a client for it."""

    def __init__(
        self,
        *,
        providers: Mapping[str, Provider] | None = None,
        rate: float = 1_000.0,
        trusted: Sequence[str] = (),
        prefix: str = "",
        pages: Pages | None = None,
    ) -> None:
        self.memory = Memory(purged=[99])
        self.app = app.build(
            KEYS,
            self.memory,
            pages or Pages(),
            Visitors(Clients(trusted), rate),
            providers or {},
            prefix=prefix,
        )

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """One request from 192.0.2.1."""

        async def main() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.app, client=("192.0.2.1", 4711))
            async with httpx.AsyncClient(
                transport=transport, base_url="https://links.example"
            ) as client:
                return await client.request(method, path, **options)

        return asyncio.run(main())

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self.request("POST", path, **options)

    def notice(self, name: str, body: bytes, headers: Mapping[str, str] | None = None) -> int:
        """Posts to a webhook; returns the status."""
        encoded = {key: value.encode("utf-8") for key, value in (headers or {}).items()}
        return self.post(f"/webhooks/{name}", content=body, headers=encoded).status_code
