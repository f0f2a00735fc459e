"""Bodies: limits that hold before anybody has proved anything."""

from __future__ import annotations

import asyncio

import pytest
from starlette.requests import Request
from starlette.types import Message

from campaignd.web.body import BodyRefused, Room, read_body

HALF = b"x" * 1_000


def request(going_on: asyncio.Event, *, disconnects: bool = False) -> Request:
    """Sends HALF, and the other half when told to."""
    sent = 0

    async def receive() -> Message:
        nonlocal sent
        sent += 1
        if sent > 1:
            await going_on.wait()
            if disconnects:
                return {"type": "http.disconnect"}
        return {"type": "http.request", "body": HALF, "more_body": sent < 2}

    return Request({"type": "http", "method": "POST", "headers": []}, receive)


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def test_what_is_read_at_once_is_bounded() -> None:
    async def main() -> None:
        room, going_on = Room(2_500), asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            first = tasks.create_task(read_body(request(going_on), 10_000, room=room))
            await settle()
            assert room.octets == 1_500
            second = tasks.create_task(read_body(request(going_on), 10_000, room=room))
            await settle()
            assert room.octets == 500
            with pytest.raises(BodyRefused) as refused:
                await read_body(request(going_on), 10_000, room=room)
            assert refused.value.status == 503
            assert room.octets == 500
            second.cancel()
            await asyncio.wait([second])
            going_on.set()
            assert await first == 2 * HALF
        assert room.octets == 2_500

    asyncio.run(main())


@pytest.mark.parametrize(
    ("limit", "disconnects", "status"), [(1_500, False, 413), (9_000, True, 408)]
)
def test_a_refused_body_leaves_its_room(limit: int, disconnects: bool, status: int) -> None:
    async def main() -> None:
        room, going_on = Room(5_000), asyncio.Event()
        going_on.set()
        with pytest.raises(BodyRefused) as refused:
            await read_body(request(going_on, disconnects=disconnects), limit, room=room)
        assert refused.value.status == status
        assert room.octets == 5_000

    asyncio.run(main())
