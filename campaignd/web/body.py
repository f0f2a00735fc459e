"""Reads the body of a request within limits of size and time."""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.requests import ClientDisconnect, Request

from campaignd.errors import CampaigndError

BODY_SECONDS: Final = 15.0
"""For a whole body; a proxy that buffers requests sends it at once."""


class BodyRefused(CampaigndError):
    """The body was not read to its end; `status` is the answer."""

    def __init__(self, status: int) -> None:
        super().__init__(f"HTTP status {status}")
        self.status = status


class Room:
    """Octets left for bodies that are being read at the same time, whoever sends them."""

    def __init__(self, octets: int) -> None:
        self.octets = octets


async def read_body(
    request: Request, limit: int, *, seconds: float = BODY_SECONDS, room: Room | None = None
) -> bytes:
    """The body, of at most `limit` octets. Raises BodyRefused: 413 for a larger one, 408 for one
    that takes longer than `seconds` or never ends, 503 if there is no room for it at present."""
    announced = request.headers.get("content-length", "0")
    if announced.isdecimal() and int(announced[:20]) > limit:
        raise BodyRefused(413)
    room = room or Room(limit)
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                if len(body) + len(chunk) > limit:
                    raise BodyRefused(413)
                if len(chunk) > room.octets:
                    raise BodyRefused(503)
                room.octets -= len(chunk)
                body += chunk
    except (TimeoutError, ClientDisconnect):
        raise BodyRefused(408) from None
    finally:
        room.octets += len(body)
    return bytes(body)
