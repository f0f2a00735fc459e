"""How soon a campaign at full rate stands still."""

from __future__ import annotations

import time
from typing import Final

import click

from benchmarks import options
from benchmarks.errors import BenchmarkError
from benchmarks.findings import Finding
from benchmarks.receiver import Receiver
from benchmarks.scenario import Measured, Scenario
from benchmarks.service import Service
from benchmarks.workshop import Workshop

QUIET_SECONDS: Final = 1.5
"""Without a message, after which the last one is taken to have been the last."""

TIMEOUT: Final = 120.0
"""Seconds for the campaign to get going, and to stand still."""


def measure(
    workshop: Workshop, *, count: int, sessions: int, repetitions: int, settle: float
) -> Measured:
    """From the start of `campaignd pause` to the last final dot, at full rate.

    The last dot's time is that of the last write of the receiver's counter. One campaign is paused
    and resumed several times and finishes in the end.
    """
    found = []
    with (
        Receiver(workshop.supervisor, sessions) as receiver,
        Service(workshop.box, receiver.relays()) as service,
    ):
        campaign = service.enqueue(workshop.campaign, workshop.recipients(count)).campaign
        service.start(campaign)
        for _ in range(repetitions):
            found.append(_pause(service, receiver, campaign, settle))
            service.command("resume", str(campaign))
        service.wait_finished(campaign, TIMEOUT + count / 500, lambda: None)
        service.expect_finished(campaign, count)
        receiver.expect(count)
    return Measured(
        [
            Finding(
                what="pause at full rate: last final dot after",
                unit="s",
                values=found,
                at_most=1.0,
                note="the command's own start is in it",
            )
        ]
    )


def _pause(service: Service, receiver: Receiver, campaign: int, settle: float) -> float:
    before = receiver.messages
    service.wait_for(lambda: receiver.messages > before, TIMEOUT, "nothing is sent")
    time.sleep(settle)
    started = time.time()
    service.command("pause", str(campaign))
    service.wait_for(
        lambda: time.time() - receiver.last_message_at > QUIET_SECONDS, TIMEOUT, "it goes on"
    )
    status = service.status(campaign)
    if status.state != "paused":
        raise BenchmarkError(f"the campaign is {status.state}: use more recipients")
    service.expect_agreement(receiver)
    return max(0.0, receiver.last_message_at - started)


SCENARIO: Final = Scenario(
    "pause",
    measure,
    [
        options.count(200_000),
        options.sessions,
        options.repetitions(5),
        click.option(
            "--settle", metavar="SECONDS", default=2.0, type=click.FloatRange(0, 60),
            help="At full rate before each pause.",
        ),
    ],
    smoke={"count": 30_000, "sessions": 20, "repetitions": 1, "settle": 0.0},
)  # fmt: skip
