"""How the rate depends on sessions, on the size of messages and on the receiver's distance."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from benchmarks import material, options
from benchmarks.distant import DistantReceiver, NoLine, enter
from benchmarks.experiment import Entry
from benchmarks.experiment import measure as run
from benchmarks.figures import Reading
from benchmarks.findings import Finding
from benchmarks.receiver import Receiver
from benchmarks.scenario import Measured, Scenario
from benchmarks.subject import Campaignd
from benchmarks.workshop import Workshop

SESSIONS: Final = (1, 5, 20, 50, 200, 1_000)
SIZES: Final = (2_048, 4_096, 16_384, 65_536)
"""Octets of a message."""
DISTANCES: Final = (0, 10, 50, 100)
"""Milliseconds there and back."""

AT_ONE_SESSION: Final = 10
"""One session sends a tenth of a run's messages: it is several times slower."""

OCTETS: Final = 400_000_000
"""That one run sends at the most, so that large messages do not take for ever."""

_log: Final = logging.getLogger("benchmarks")


class Point(msgspec.Struct, frozen=True):
    """One run."""

    at: int
    rate: float
    cpu_us: float


def measure(
    workshop: Workshop, *, count: int, sessions: int, far_sessions: int, points: int
) -> Measured:
    """The rate by sessions, by message size and by the receiver's distance; for charts.

    One run for each point. The distances need what `delay` needs and are left out without it.
    """

    def receiver(most: int) -> Callable[[], Receiver]:
        return lambda: Receiver(workshop.supervisor, most)

    def distant(rtt: int) -> Callable[[], DistantReceiver]:
        return lambda: DistantReceiver(workshop.supervisor, far_sessions, rtt / 2_000)

    def by_sessions() -> Iterable[Point]:
        for most in SESSIONS[:points]:
            some = count if most > 1 else -(-count // AT_ONE_SESSION)
            yield _point(most, run(Entry(workshop.campaignd(), receiver(most)), some))

    def by_size() -> Iterable[Point]:
        for size in SIZES[:points]:
            folder = workshop.box.folder / f"size-{size}"
            folder.mkdir()
            made = material.make(folder, size)
            candidate = Campaignd(workshop.box, made.campaign, workshop.recipients)
            some = min(count, -(-OCTETS // size))
            yield _point(size, run(Entry(candidate, receiver(sessions)), some))

    def by_distance() -> Iterable[Point]:
        for rtt in DISTANCES[:points]:
            yield _point(rtt, run(Entry(workshop.campaignd(), distant(rtt)), count), steady=True)

    curves: dict[str, list[Point]] = {}
    curves["sessions"] = _logged("sessions", by_sessions())
    curves["size"] = _logged("octets", by_size())
    try:
        enter()
    except NoLine as error:
        _log.warning("without distances: %s", error)
    else:
        curves["rtt_ms"] = _logged("ms", by_distance())
    return Measured(
        [
            Finding(what=f"{point.at:,} {unit}", unit="messages/s", values=[point.rate])
            for key, unit in (("sessions", "sessions"), ("size", "octets"), ("rtt_ms", "ms away"))
            for point in curves.get(key, [])
        ],
        {},
        curves,
    )


def _point(at: int, reading: Reading, *, steady: bool = False) -> Point:
    return Point(at, reading.steady_rate if steady else reading.rate, reading.cpu_us)


def _logged(unit: str, points: Iterable[Point]) -> list[Point]:
    seen = []
    for point in points:
        _log.info("%8d %-8s %8.0f msg/s %7.1f us", point.at, unit, point.rate, point.cpu_us)
        seen.append(point)
    return seen


def _prepare() -> None:
    """Servers that are started before `enter` would be out of the line's reach."""
    try:
        enter()
    except NoLine:
        return


SCENARIO: Final = Scenario(
    "curves",
    measure,
    [
        options.count(40_000),
        options.sessions,
        options.number("--far-sessions", 1_000, "To the distant receivers."),
        options.number("--points", 10, "Of each curve at the most."),
    ],
    full={"count": 25_000},
    smoke={"count": 20, "sessions": 5, "far_sessions": 5, "points": 1},
    prepare=_prepare,
)
