"""A small campaign that comes while a large one goes at full rate."""

from __future__ import annotations

import time
from typing import Final, NamedTuple

import click

from benchmarks import options
from benchmarks.errors import BenchmarkError
from benchmarks.findings import Finding
from benchmarks.receiver import Receiver
from benchmarks.scenario import Measured, Scenario
from benchmarks.service import Service
from benchmarks.workshop import Workshop

FINISH_TIMEOUT: Final = 60.0
"""Seconds; three are the target."""


class Small(NamedTuple):
    """Seconds from the moment at which a small campaign was enqueued."""

    first: float
    finished: float


def measure(
    workshop: Workshop, *, count: int, small: int, sessions: int, repetitions: int, settle: float
) -> Measured:
    """How soon a small campaign gets its turn while a large one goes at full rate.

    Both belong to one account. Counted from the moment at which the small one's audience is
    complete to its first reply and to its end, as the ledger has them; several small ones come
    one after the other while the same large one goes on, which is cancelled in the end.
    """
    with (
        Receiver(workshop.supervisor, sessions) as receiver,
        Service(workshop.box, receiver.relays()) as service,
    ):
        large = service.enqueue(workshop.campaign, workshop.recipients(count)).campaign
        service.start(large)
        service.wait_for(lambda: receiver.messages > 0, FINISH_TIMEOUT, "nothing is sent")
        begun, before = time.monotonic(), receiver.messages
        found = []
        for _ in range(repetitions):
            time.sleep(settle)
            found.append(_one(service, workshop, small))
        rate = (receiver.messages - before) / (time.monotonic() - begun)
        going = service.status(large).state == "running"
        if going:
            service.command("cancel", str(large))
        service.expect_agreement(receiver)
    if not going:
        raise BenchmarkError(f"the large campaign ended too early: use more than {count} for it")
    what = f"{small:,} recipients beside {count:,}"
    return Measured(
        [
            Finding(
                what=f"{what}: first reply after",
                unit="s",
                values=[one.first for one in found],
                at_most=1.0,
            ),
            Finding(
                what=f"{what}: finished after",
                unit="s",
                values=[one.finished for one in found],
                at_most=3.0,
            ),
            Finding(what=f"{what}: both together", unit="messages/s", values=[rate]),
        ]
    )


def _one(service: Service, workshop: Workshop, count: int) -> Small:
    campaign = service.enqueue(workshop.campaign, workshop.recipients(count), ()).campaign
    service.wait_finished(campaign, FINISH_TIMEOUT, lambda: None)
    service.expect_finished(campaign, count)
    with service.connect() as link, link.cursor() as cursor:
        cursor.execute(
            "SELECT UNIX_TIMESTAMP(started_at), UNIX_TIMESTAMP(finished_at), (SELECT"
            " UNIX_TIMESTAMP(MIN(at)) FROM ledger WHERE campaign_id = id)"
            " FROM campaigns WHERE id = %s",
            (campaign,),
        )
        row = cursor.fetchone()
    assert row is not None
    started, finished, first = map(float, row)
    return Small(first - started, finished - started)


SCENARIO: Final = Scenario(
    "fairness",
    measure,
    [
        options.count(500_000),
        click.option(
            "--small", metavar="N", default=1_000, type=click.IntRange(1, 1_000_000),
            help="Recipients of the small campaigns.",
        ),
        options.sessions,
        options.repetitions(7),
        click.option(
            "--settle", metavar="SECONDS", default=1.0, type=click.FloatRange(0, 60),
            help="Between two small campaigns.",
        ),
    ],
    smoke={"count": 60_000, "small": 50, "sessions": 20, "repetitions": 1, "settle": 0.0},
)  # fmt: skip
