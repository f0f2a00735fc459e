"""Receivers far away: 50 ms there and back, on a line that delays every packet."""

from __future__ import annotations

from typing import Final

import click

from benchmarks import options
from benchmarks.distant import DistantReceiver, enter
from benchmarks.experiment import Entry, Plan, interleave
from benchmarks.figures import Reading
from benchmarks.findings import Finding, relative
from benchmarks.receiver import Receiver
from benchmarks.scenario import Measured, Scenario
from benchmarks.workshop import Workshop

LOCKSTEP_SHARE: Final = 4
"""Messages of the session in lockstep: a quarter, as its rate is."""


def measure(
    workshop: Workshop, *, count: int, sessions: int, repetitions: int, rtt: int, alone: int
) -> Measured:
    """A distant receiver and many sessions, against loopback; then one session alone.

    The line is a process that every packet passes, which takes processor time, so the rate is
    compared with that over the same line without length, too. Each way takes half of the round
    trip. Needs root, for a network namespace of its own; uses loopback addresses only.
    """
    one_way = rtt / 2 / 1000

    def distant(seconds: float, most: int, *, pipelining: bool = True) -> DistantReceiver:
        return DistantReceiver(workshop.supervisor, most, seconds, pipelining=pipelining)

    near, short, far = "loopback", "line of 0 ms", f"line of {rtt} ms"
    runs = interleave(
        [
            Entry(workshop.campaignd(near), lambda: Receiver(workshop.supervisor, sessions)),
            Entry(workshop.campaignd(short), lambda: distant(0.0, sessions)),
            Entry(workshop.campaignd(far), lambda: distant(one_way, sessions)),
        ],
        Plan(repetitions, count, 0, sessions),
    )
    single, lockstep = "one session", "one session in lockstep"
    singles = interleave(
        [
            Entry(workshop.campaignd(single), lambda: distant(one_way, 1)),
            Entry(
                workshop.campaignd(lockstep),
                lambda: distant(one_way, 1, pipelining=False),
                max(1, alone // LOCKSTEP_SHARE),
            ),
        ],
        Plan(1, alone, 0, 1),
    )

    def steady(name: str) -> list[float]:
        return [run.steady_rate for run in runs[name]]

    where = f"{rtt} ms away, {sessions:,} sessions"
    return Measured(
        [
            Finding(
                what=f"{where}, against the same line of 0 ms, steady",
                unit="times",
                values=relative(steady(far), steady(short)),
                at_least=0.9,
            ),
            Finding(
                what=f"{where}, against loopback, steady",
                unit="times",
                values=relative(steady(far), steady(near)),
                note="the line's own processor time is in it",
            ),
            Finding(what=f"{where}, steady", unit="messages/s", values=steady(far)),
            Finding(
                what=f"{where}, daemon's CPU for a message",
                unit="us",
                values=[run.cpu_us for run in runs[far]],
            ),
            Finding(
                what=f"{rtt} ms away, one session",
                unit="messages/s",
                values=_rates(singles[single]),
                at_least=round(0.85 * 1000 / rtt, 1) if rtt else None,
            ),
            Finding(
                what=f"{rtt} ms away, one session in lockstep",
                unit="messages/s",
                values=_rates(singles[lockstep]),
            ),
        ],
        {**runs, **singles},
    )


def _rates(runs: list[Reading]) -> list[float]:
    return [run.rate for run in runs]


SCENARIO: Final = Scenario(
    "delay",
    measure,
    [
        options.count(150_000),
        options.many_sessions(1_000),
        options.repetitions(2),
        click.option(
            "--rtt",
            metavar="MS",
            default=50,
            type=click.IntRange(0, 10_000),
            help="There and back.",
        ),
        click.option(
            "--alone",
            metavar="N",
            default=240,
            type=click.IntRange(1, 1_000_000),
            help="Messages of the one session.",
        ),
    ],
    prepare=enter,
    full={"count": 100_000},
    smoke={"count": 400, "sessions": 40, "repetitions": 1, "rtt": 10, "alone": 20},
)
