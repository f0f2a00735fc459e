"""Asks a web server that we name for something small, over TLS.

Blocking, so it runs in a thread. Follows no redirect: what is fetched decides whom we believe.
"""

from __future__ import annotations

import asyncio
import http.client
import ssl
from typing import Final

from campaignd.errors import Outage

TIMEOUT_SECONDS: Final = 5.0
MAX_OCTETS: Final = 65_536


class FetchOutage(Outage):
    """The server is away, or its answer is none."""


async def fetch(host: str, path: str) -> bytes:
    """The body of https://HOST/PATH. Raises FetchOutage."""
    return await asyncio.to_thread(_get, host, path)


def _get(host: str, path: str) -> bytes:
    connection = http.client.HTTPSConnection(
        host, timeout=TIMEOUT_SECONDS, context=ssl.create_default_context()
    )
    try:
        connection.request("GET", path, headers={"User-Agent": "campaignd"})
        answer = connection.getresponse()
        body = answer.read(MAX_OCTETS)
    except (OSError, http.client.HTTPException) as error:
        raise FetchOutage(f"https://{host}: {error}") from None
    finally:
        connection.close()
    if answer.status != 200:
        raise FetchOutage(f"https://{host}: status {answer.status}")
    return body
