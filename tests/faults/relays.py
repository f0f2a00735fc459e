"""Scripted relays in a thread of their own, for daemons that run as processes."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from campaignd.config import Relay, Timeouts
from campaignd.sandbox.sinklog import Accepted
from tests.fakes.relay import Answer, FakeRelay, Received

CALL_SECONDS: Final = 20.0
TIMEOUTS: Final = Timeouts(
    connect=1, greeting=1, mail=1, rcpt=1, data=1, body=1, final_dot=1, idle=5
)
"""Short, because some relays never answer."""

_MESSAGE_ID: Final = re.compile(
    rb"^Message-ID: *(?:\r\n[ \t]+)?(\S+)", re.MULTILINE | re.IGNORECASE
)


class Cut(NamedTuple):
    """Writes exactly these octets, then closes the connection."""

    octets: bytes = b""


class Script(NamedTuple):
    """A relay with one fault: the first answer to `key` is `fault`, later ones are as usual."""

    name: str
    key: str
    fault: Answer | Cut
    usual: Answer | Cut
    tls: Any = None
    """An ssl.SSLContext, with which it offers STARTTLS."""


class ScriptedRelay(FakeRelay):
    """One relay of a script."""

    def __init__(self, script: Script) -> None:
        answers: Mapping[str, Sequence[Any]] = {script.key: [script.fault, script.usual]}
        super().__init__(answers, tls=script.tls)
        self.name = script.name

    async def _answer(self, key: str, writer: asyncio.StreamWriter) -> bool:
        answer: Any = self._script[key][0]
        if not isinstance(answer, Cut):
            return await super()._answer(key, writer)
        self._script[key].pop(0)
        writer.write(answer.octets)
        await writer.drain()
        writer.write_eof()
        return False


class Relays:
    """All of them, while the block lasts."""

    def __init__(self, scripts: Iterable[Script]) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="relays", daemon=True)
        self._stack = AsyncExitStack()
        self.relays = [ScriptedRelay(script) for script in scripts]

    def __enter__(self) -> Self:
        self._thread.start()
        self._call(self._open())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._call(self._stack.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CALL_SECONDS)
        self._loop.close()

    def configured(self, **options: Any) -> list[Relay]:
        """How a daemon is told of them: one connection each, so that each fault comes once."""
        return [
            Relay(
                name=relay.name,
                host="127.0.0.1",
                port=relay.port,
                connections=1,
                timeouts=TIMEOUTS,
                **{"tls": "none", **options},
            )
            for relay in self.relays
        ]

    def taken(self, refused: Iterable[str] = ()) -> list[Accepted]:
        """The messages whose final dot arrived, without the first one of the relays named in
        `refused`: they have said that they did not take it."""
        found = []
        for relay in self.relays:
            received = relay.received[1:] if relay.name in refused else relay.received
            found += [_accepted(message) for message in received]
        return found

    async def _open(self) -> None:
        for relay in self.relays:
            await self._stack.enter_async_context(relay)

    def _call(self, work: Coroutine[Any, Any, Any]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(CALL_SECONDS)


def _accepted(message: Received) -> Accepted:
    recipient = message.rcpt.split(b"<", 1)[1].split(b">", 1)[0].decode()
    found = _MESSAGE_ID.search(message.content)
    return Accepted(
        recipient, "", found[1].decode() if found else "", None, 0.0, 0, len(message.content)
    )
