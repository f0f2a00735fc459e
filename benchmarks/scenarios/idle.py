"""What a daemon uses that has nothing to send."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Final

import click

from benchmarks.findings import Finding
from benchmarks.receiver import Receiver
from benchmarks.scenario import Measured, Scenario
from benchmarks.service import Service
from benchmarks.workshop import Workshop

AHEAD: Final = timedelta(days=30)

COPY: Final = """
INSERT INTO campaigns (account, name, state, spec, fields, total, input_rows, created_at, starts_at)
SELECT account, name, state, spec, fields, total, input_rows, created_at, starts_at
FROM campaigns WHERE id <= %s
"""
COPY_SHARDS: Final = """
INSERT INTO shards (campaign_id, shard, size, due_at)
SELECT c.id, s.shard, s.size, s.due_at FROM campaigns c JOIN shards s ON s.campaign_id = 1
WHERE c.id > 1
"""
COPY_RECIPIENTS: Final = """
INSERT INTO recipients (campaign_id, shard, seq, address, address_key, fields)
SELECT c.id, r.shard, r.seq, r.address, r.address_key, r.fields
FROM campaigns c JOIN recipients r ON r.campaign_id = 1 WHERE c.id > 1
"""


def measure(workshop: Workshop, *, campaigns: int, seconds: float) -> Measured:
    """CPU of a daemon and of its database with thousands of campaigns that wait for their time."""
    with (
        Receiver(workshop.supervisor, 1) as receiver,
        Service(workshop.box, receiver.relays()) as service,
    ):
        at = (datetime.now(UTC) + AHEAD).strftime("%Y-%m-%dT%H:%M:%SZ")
        service.enqueue(workshop.campaign, workshop.recipients(1), ("--at", at))
        with service.connect() as link, link.cursor() as cursor:
            there = 1
            while there < campaigns:
                there += cursor.execute(COPY, (campaigns - there,))
            cursor.execute(COPY_SHARDS)
            cursor.execute(COPY_RECIPIENTS)
        time.sleep(min(2.0, seconds))
        started, used = time.monotonic(), service.cpu_seconds
        database = service.database_cpu_seconds
        time.sleep(seconds)
        passed = time.monotonic() - started
        used = service.cpu_seconds - used
        database = service.database_cpu_seconds - database
        receiver.expect(0)
    what = f"idle with {campaigns:,} scheduled campaigns"
    return Measured(
        [
            Finding(
                what=f"{what}: daemon",
                unit="% of a core",
                values=[used / passed * 100],
                at_most=1.0,
            ),
            Finding(what=f"{what}: MariaDB", unit="% of a core", values=[database / passed * 100]),
        ]
    )


SCENARIO: Final = Scenario(
    "idle",
    measure,
    [
        click.option(
            "--campaigns", metavar="N", default=10_000, type=click.IntRange(1, 1_000_000),
            help="That are scheduled.",
        ),
        click.option(
            "--seconds", metavar="SECONDS", default=20.0, type=click.FloatRange(0.1, 3_600),
            help="That the readings are taken over.",
        ),
    ],
    smoke={"campaigns": 20, "seconds": 0.2},
)  # fmt: skip
