"""How fast audiences are frozen."""

from __future__ import annotations

from itertools import islice
from typing import Final

from benchmarks import material, options
from benchmarks.errors import BenchmarkError
from benchmarks.findings import Finding
from benchmarks.receiver import Receiver
from benchmarks.scenario import Measured, Scenario
from benchmarks.service import Enqueued, Service
from benchmarks.workshop import Workshop

BATCH: Final = 2_000
"""Rows of one INSERT into the table that the query reads."""


def measure(workshop: Workshop, *, count: int, repetitions: int) -> Measured:
    """Rows a second from a CSV file, and from a query on the same server.

    From the command's start to its end: validation, duplicates, numbering and durable storage of
    an address and six merge fields.
    """
    recipients = workshop.recipients(count)
    columns = ", ".join(("email", *material.FIELDS))
    by_file: list[Enqueued] = []
    by_query: list[Enqueued] = []
    with (
        Receiver(workshop.supervisor, 1) as receiver,
        Service(workshop.box, receiver.relays()) as service,
    ):
        _fill(service, count)
        for _ in range(repetitions):
            by_file.append(service.enqueue(workshop.campaign, recipients))
            _expect(service, by_file[-1].campaign, count)
            by_query.append(
                service.enqueue(workshop.campaign, f"SELECT {columns} FROM customers ORDER BY id")
            )
            _expect(service, by_query[-1].campaign, count)
    return Measured(
        [
            Finding(
                what=f"enqueue of {count:,} CSV rows",
                unit="rows/s",
                values=[count / done.seconds for done in by_file],
                at_least=50_000,
            ),
            Finding(
                what=f"enqueue of {count:,} rows by --query",
                unit="rows/s",
                values=[count / done.seconds for done in by_query],
                at_least=150_000,
            ),
            Finding(
                what="enqueue: peak memory of the command",
                unit="MiB",
                values=[done.peak_memory_kib / 1024 for done in by_file],
                at_most=200,
            ),
        ]
    )


def _fill(service: Service, count: int) -> None:
    """The table that the query reads, as a shop might have it."""
    columns = ", ".join(f"{name} VARCHAR(100) NOT NULL" for name in ("email", *material.FIELDS))
    names = ", ".join(("email", *material.FIELDS))
    with service.connect() as link, link.cursor() as cursor:
        cursor.execute(f"CREATE TABLE customers (id INT AUTO_INCREMENT PRIMARY KEY, {columns})")
        rows = islice(material.recipients(), count)
        while batch := list(islice(rows, BATCH)):
            values = ",".join(f"({','.join(map(link.escape, row))})" for row in batch)
            cursor.execute(f"INSERT INTO customers ({names}) VALUES {values}")


def _expect(service: Service, campaign: int, count: int) -> None:
    """Every row is there, the last one as it was given."""
    *_, last = islice(material.recipients(), count)
    with service.connect() as link, link.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM recipients WHERE campaign_id = %s", (campaign,))
        found = cursor.fetchone()
        cursor.execute(
            "SELECT address, fields FROM recipients WHERE campaign_id = %s"
            " ORDER BY shard DESC, seq DESC LIMIT 1",
            (campaign,),
        )
        row = cursor.fetchone()
    if found != (count,) or row is None or row[0] != last[0]:
        raise BenchmarkError(f"{found} rows, the last of them {row}, not {count} to {last}")


SCENARIO: Final = Scenario(
    "enqueue",
    measure,
    [options.count(1_000_000), options.repetitions(1)],
    smoke={"count": 2_000, "repetitions": 1},
    servers={"buffer_pool_mib": 1_024},
)
