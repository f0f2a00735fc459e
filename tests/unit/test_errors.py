"""How uvloop's closed transports become outages."""

from __future__ import annotations

import asyncio

import pytest
import uvloop

from campaignd.errors import LeaseOutage, connection_was_closed
from campaignd.lease.client import reaching


def closed_transport_error() -> RuntimeError:
    """What uvloop really raises."""

    async def main() -> RuntimeError:
        server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.transport.abort()
            await asyncio.sleep(0.01)
            with pytest.raises(RuntimeError) as caught:
                writer.transport.writelines([b"late"])
            return caught.value

    return uvloop.run(main())


def test_a_closed_transport_is_recognised() -> None:
    assert connection_was_closed(closed_transport_error())
    assert connection_was_closed(RuntimeError("Transport does not expose socket instance"))
    assert not connection_was_closed(RuntimeError("a bug"))


def test_redis_that_closed_is_an_outage_and_a_bug_is_none() -> None:
    async def main(error: RuntimeError) -> None:
        async with reaching():
            raise error

    with pytest.raises(LeaseOutage):
        asyncio.run(main(closed_transport_error()))
    with pytest.raises(RuntimeError, match="a bug"):
        asyncio.run(main(RuntimeError("a bug")))
