"""The faults of the long run: how each begins, how long it lasts, how it ends."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import redis

from tests.faults.host import Host
from tests.faults.stage import SENDER, Stage
from tests.faults.takeovers import Takeovers
from tests.faults.wire import Direction


@dataclass(slots=True)
class Act:
    """A fault that is going on until `end` is called."""

    scope: str
    until: float
    """Monotonic seconds."""
    end: Callable[[], object]
    host: Host | None = None
    """The daemon that stays dead meanwhile."""
    hampers: bool = False
    """While it lasts, nobody can be expected to take a shard over in time."""


Begin = Callable[[Stage, random.Random, Takeovers], Act | None]


@dataclass(slots=True, frozen=True)
class Kind:
    """A kind of fault. Faults of one scope do not overlap, but for `host`."""

    name: str
    scope: str
    begin: Begin
    weight: int = 1
    """How often it comes, compared with others."""


REPERTOIRE: Final[list[Kind]] = []


def _kind(name: str, scope: str, weight: int = 1) -> Callable[[Begin], Begin]:
    def add(begin: Begin) -> Begin:
        REPERTOIRE.append(Kind(name, scope, begin, weight))
        return begin

    return add


def _running(stage: Stage, chance: random.Random) -> Host | None:
    """A daemon that runs; a frozen one is among them, which is a fault of its own."""
    running = [host for host in stage.hosts if host.running]
    return chance.choice(running) if running else None


def _nothing() -> None:
    """It ended as it began."""


@_kind("daemon killed", "host", weight=4)
def _kill(stage: Stage, chance: random.Random, takeovers: Takeovers) -> Act | None:
    host = _running(stage, chance)
    if host is None:
        return None
    host.kill()
    takeovers.lost(host)
    return Act("host", time.monotonic() + chance.uniform(0, 6), _nothing, host)


@_kind("daemon frozen", "freeze", weight=3)
def _freeze(stage: Stage, chance: random.Random, takeovers: Takeovers) -> Act | None:
    host = _running(stage, chance)
    if host is None:
        return None
    host.freeze()
    seconds = chance.uniform(0.5, 3) * stage.ttl
    if seconds > 1.5 * stage.ttl:
        takeovers.lost(host)

    def thaw() -> None:
        if host.running:
            host.thaw()

    return Act("freeze", time.monotonic() + seconds, thaw)


@_kind("SIGTERM", "host")
def _term(stage: Stage, chance: random.Random, takeovers: Takeovers) -> Act | None:
    host = _running(stage, chance)
    if host is None:
        return None
    host.tell(signal.SIGTERM)
    return Act("host", time.monotonic() + 1, _nothing)


@_kind("SIGTERM twice", "host")
def _term_twice(stage: Stage, chance: random.Random, takeovers: Takeovers) -> Act | None:
    host = _running(stage, chance)
    if host is None:
        return None
    host.tell(signal.SIGTERM)
    return Act("host", time.monotonic() + 0.1, lambda: host.tell(signal.SIGTERM))


@_kind("redis killed, back empty", "redis")
def _redis_kill(stage: Stage, chance: random.Random, takeovers: Takeovers) -> Act | None:
    server = stage.box.redis
    server.kill()
    until = time.monotonic() + chance.uniform(0, 5)
    return Act("redis", until, server.start, hampers=True)


@_kind("redis flushed", "redis")
def _redis_flush(stage: Stage, chance: random.Random, takeovers: Takeovers) -> Act | None:
    redis.Redis.from_url(stage.box.redis.url).flushall()
    return Act("redis", time.monotonic(), _nothing)


@_kind("redis frozen", "redis")
def _redis_freeze(stage: Stage, chance: random.Random, takeovers: Takeovers) -> Act | None:
    server = stage.box.redis
    server.freeze()
    return Act("redis", time.monotonic() + chance.uniform(0.5, 5), server.thaw, hampers=True)


@_kind("mysql killed", "mysql")
def _mysql_kill(stage: Stage, chance: random.Random, takeovers: Takeovers) -> Act | None:
    server = stage.box.mariadb
    server.kill()
    until = time.monotonic() + chance.uniform(0, 3)
    return Act("mysql", until, server.start, hampers=True)


@_kind("mysql frozen", "mysql")
def _mysql_freeze(stage: Stage, chance: random.Random, takeovers: Takeovers) -> Act | None:
    server = stage.box.mariadb
    server.freeze()
    return Act("mysql", time.monotonic() + chance.uniform(0.5, 5), server.thaw, hampers=True)


@_kind("mysql read-only", "mysql")
def _mysql_read_only(stage: Stage, chance: random.Random, takeovers: Takeovers) -> Act | None:
    stage.query("SET GLOBAL read_only = 1")
    until = time.monotonic() + chance.uniform(0.5, 3)
    return Act("mysql", until, lambda: stage.query("SET GLOBAL read_only = 0"), hampers=True)


@_kind("mysql connections killed", "mysql")
def _mysql_connections(stage: Stage, chance: random.Random, takeovers: Takeovers) -> Act | None:
    stage.query(f"KILL USER {SENDER}@localhost")
    return Act("mysql", time.monotonic(), _nothing)


def _on_a_wire(name: str, wire: str, hampers: bool, begin: Callable[..., object]) -> None:
    """A fault of one daemon's way to MySQL, Redis or the receiver. It hampers a takeover when the
    daemon that should take over cannot reach what it needs for that."""

    def act(stage: Stage, chance: random.Random, takeovers: Takeovers) -> Act | None:
        host = chance.choice(stage.hosts)
        proxy = getattr(host, wire)
        begin(proxy, chance)
        seconds = chance.uniform(0.2, 5)
        return Act(f"{wire} wire", time.monotonic() + seconds, proxy.heal, hampers=hampers)

    REPERTOIRE.append(Kind(name, f"{wire} wire", act))


_on_a_wire("mysql cut off", "mysql", True, lambda proxy, chance: proxy.refuse())
_on_a_wire("mysql wire cut", "mysql", False, lambda proxy, chance: proxy.cut())
_on_a_wire("mysql silent", "mysql", True, lambda proxy, chance: proxy.blackhole())
_on_a_wire("mysql slow", "mysql", True, lambda proxy, chance: proxy.delay(0.1))
_on_a_wire(
    "commit's answer lost",
    "mysql",
    False,
    lambda proxy, chance: proxy.drop_answer(b"COMMIT", times=chance.randint(1, 5)),
)
_on_a_wire(
    "statement's answer lost",
    "mysql",
    False,
    lambda proxy, chance: proxy.drop_answer(b"SET claimed", times=chance.randint(1, 5)),
)
_on_a_wire("redis cut off", "redis", True, lambda proxy, chance: proxy.refuse())
_on_a_wire("redis silent", "redis", True, lambda proxy, chance: proxy.blackhole())
_on_a_wire("redis slow", "redis", True, lambda proxy, chance: proxy.delay(0.2))
_on_a_wire("relay away", "relay", False, lambda proxy, chance: proxy.refuse())
_on_a_wire("relay cut", "relay", False, lambda proxy, chance: proxy.cut())
_on_a_wire("relay silent", "relay", False, lambda proxy, chance: proxy.blackhole())
_on_a_wire(
    "relay's replies silent", "relay", False, lambda proxy, chance: proxy.blackhole(Direction.DOWN)
)
_on_a_wire("relay slow", "relay", False, lambda proxy, chance: proxy.delay(0.2))
_on_a_wire("relay throttled", "relay", False, lambda proxy, chance: proxy.throttle(20_000))
_on_a_wire(
    "relay cut after n octets",
    "relay",
    False,
    lambda proxy, chance: proxy.cut_after(chance.randint(100, 20_000), chance.choice([*Direction])),
)


@_kind("receiver killed", "receiver")
def _receiver_kill(stage: Stage, chance: random.Random, takeovers: Takeovers) -> Act | None:
    stage.sink.kill()
    return Act("receiver", time.monotonic() + chance.uniform(0, 3), stage.sink.start)


@_kind("receiver frozen", "receiver")
def _receiver_freeze(stage: Stage, chance: random.Random, takeovers: Takeovers) -> Act | None:
    stage.sink.freeze()
    return Act("receiver", time.monotonic() + chance.uniform(0.5, 6), stage.sink.thaw)
