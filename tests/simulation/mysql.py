"""The way to the model of MySQL: delays, outages, and commits whose answer is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from campaignd.errors import StoreOutage
from tests.simulation.clock import Process, World
from tests.simulation.rules import Rules
from tests.simulation.store import Store
from tests.simulation.weather import Weather

STATEMENTS = frozenset(
    {
        "claim", "content", "due", "finish_campaign", "complete_campaigns", "states",
        "open_campaigns", "open_shards", "window", "picked",
    }
)  # fmt: skip
"""What commits by itself: an outage in it is ambiguous, and a request that was under way when its
connection broke may still be carried out. A transaction needs its client for every step, and
holds the shard's lock, so it happens before its outage is reported or not at all."""

USUAL, LONGEST = 0.01, 3.0
"""Seconds on the way to the server or back."""

TIMEOUT = 4.0
"""Seconds until an exchange counts as failed."""

LATEST = 12.0
"""Seconds after which a request whose connection broke is not carried out any more."""


class Server:
    """The one server that all hosts use. `rules` sees every change."""

    def __init__(self, world: World, weather: Weather, store: Store, rules: Rules) -> None:
        self.world = world
        self.weather = weather
        self.store = store
        self.rules = rules
        self.on_takeover: Callable[[Process], None] = lambda process: None

    def execute(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        operation: Callable[..., Any] = getattr(self.store, name)
        return self.rules.watch(name, operation, args, kwargs)


class Database:
    """What a host has for `campaignd.store.db.Database`."""

    def __init__(self, server: Server, process: Process) -> None:
        self._server = server
        self._process = process

    async def call(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Carries out an operation of the store. Raises StoreOutage as the real one does."""
        process, server = self._process, self._server
        if not process.alive:
            raise StoreOutage("the process has ended")
        world, weather, rng = server.world, server.weather, server.world.rng
        answer: asyncio.Future[Any] = process.create_future()
        freeze_at = weather.freeze_at()
        if freeze_at == "request":
            process.freeze(rng.uniform(1, 20))
        statement = name in STATEMENTS
        late = statement and rng.random() < weather.late_statement

        def send() -> None:
            if weather.mysql_away or rng.random() < weather.before_commit:
                lost = weather.delay(USUAL, TIMEOUT)
                world.at(world.now + lost, process, fail, statement)
            elif late:
                world.at(world.now + TIMEOUT, process, fail, True)
                world.at(world.now + rng.random() * LATEST, None, serve)
            else:
                world.at(world.now + weather.delay(USUAL, LONGEST), None, serve)

        def serve() -> None:
            if freeze_at == "answer":
                process.freeze(rng.uniform(1, 20))
            result = server.execute(name, args, kwargs)
            if name == "take":
                server.on_takeover(process)
            if late:
                return
            if rng.random() < weather.after_commit:
                world.at(world.now + weather.delay(USUAL, TIMEOUT), process, fail, True)
            else:
                world.at(world.now + weather.delay(USUAL, LONGEST), process, succeed, result)

        def succeed(result: Any) -> None:
            if not answer.done():
                answer.set_result(result)

        def fail(ambiguous: bool) -> None:
            if not answer.done():
                answer.set_exception(StoreOutage("MySQL is away", ambiguous=ambiguous))

        process.call_soon(send)
        if name != "take":
            return await answer
        with server.rules.taking(process):
            taken = await answer
        if taken is not None:
            server.rules.took(process, args[:2], taken.epoch)
        return taken

    def told(self, key: tuple[int, int], seqs: Sequence[int]) -> None:
        """The host has got the recipients that it asked for."""
        self._server.rules.told(key, seqs)


class Api:
    """Stands for the modules `shards`, `ledger` and `campaigns` of `campaignd.store`."""

    def __init__(self, original: Any) -> None:
        self._original = original

    def __getattr__(self, name: str) -> Any:
        if not hasattr(Store, name):
            return getattr(self._original, name)

        async def operation(db: Database, *args: Any, **kwargs: Any) -> Any:
            result = await db.call(name, args, kwargs)
            if name in ("window", "picked"):
                db.told(args[1:3], [row[0] for row in result])
            return result

        setattr(self, name, operation)
        return operation
