"""What a message costs MySQL and Redis."""

from __future__ import annotations

from typing import Final

import pymysql
import redis
from pymysql.cursors import Cursor

from benchmarks import meter, options
from benchmarks.candidates import RUN_TIMEOUT
from benchmarks.findings import Finding
from benchmarks.receiver import Receiver
from benchmarks.scenario import Measured, Scenario
from benchmarks.service import Service
from benchmarks.workshop import Workshop
from campaignd.sandbox.box import Sandbox

COUNTED: Final = (
    "Questions", "Com_select", "Com_insert", "Com_update", "Com_commit",
    "Innodb_os_log_written", "Innodb_data_fsyncs",
    "Bytes_received", "Bytes_sent",
)  # fmt: skip

A_BILLION_A_DAY: Final = 11_574
"""Messages a second."""


def measure(workshop: Workshop, *, count: int, sessions: int) -> Measured:
    """Statements, octets and processor time that a message costs MySQL, and calls of Redis.

    Counted by the servers themselves from a campaign's start to its end: the polls of the daemon
    and of this benchmark are in it.
    """
    with (
        Receiver(workshop.supervisor, sessions) as receiver,
        Service(workshop.box, receiver.relays()) as service,
        service.connect() as link,
    ):
        campaign = service.enqueue(workshop.campaign, workshop.recipients(count)).campaign
        before, calls = _status(link), _redis_calls(workshop.box)
        cpu, broker = service.database_cpu_seconds, meter.cpu_seconds(workshop.box.redis.pid)
        daemon = service.cpu_seconds
        service.start(campaign)
        service.wait_finished(campaign, RUN_TIMEOUT + count / 500, lambda: None)
        daemon = service.cpu_seconds - daemon
        cpu = service.database_cpu_seconds - cpu
        broker = meter.cpu_seconds(workshop.box.redis.pid) - broker
        calls = _redis_calls(workshop.box) - calls
        used = {name: value - before[name] for name, value in _status(link).items()}
        service.expect_finished(campaign, count)
        receiver.expect(count)
        sizes = {table: _octets(link, table) / count for table in ("ledger", "recipients")}
    thousands = count / 1_000

    def each(name: str) -> list[float]:
        return [used[name] / thousands]

    return Measured(
        [
            Finding(what="statements", unit="for 1,000 messages", values=each("Questions")),
            Finding(what="SELECT", unit="for 1,000 messages", values=each("Com_select")),
            Finding(what="INSERT", unit="for 1,000 messages", values=each("Com_insert")),
            Finding(what="UPDATE", unit="for 1,000 messages", values=each("Com_update")),
            Finding(what="COMMIT", unit="for 1,000 messages", values=each("Com_commit")),
            Finding(what="fsync", unit="for 1,000 messages", values=each("Innodb_data_fsyncs")),
            Finding(
                what="redo log",
                unit="octets a message",
                values=[used["Innodb_os_log_written"] / count],
            ),
            Finding(
                what="to and from MySQL",
                unit="octets a message",
                values=[(used["Bytes_received"] + used["Bytes_sent"]) / count],
            ),
            Finding(
                what="ledger with its index",
                unit="octets a recipient",
                values=[sizes["ledger"]],
            ),
            Finding(
                what="recipients with their indexes",
                unit="octets a recipient",
                values=[sizes["recipients"]],
            ),
            Finding(what="mariadbd", unit="us of CPU a message", values=[cpu / count * 1e6]),
            Finding(
                what=f"mariadbd at {A_BILLION_A_DAY:,} messages/s",
                unit="% of a core",
                values=[cpu / count * A_BILLION_A_DAY * 100],
                at_most=30,
            ),
            Finding(what="Redis calls", unit="for 1,000 messages", values=[calls / thousands]),
            Finding(what="redis-server", unit="us of CPU a message", values=[broker / count * 1e6]),
            Finding(what="daemon", unit="us of CPU a message", values=[daemon / count * 1e6]),
        ]
    )


def _status(link: pymysql.Connection[Cursor]) -> dict[str, int]:
    with link.cursor() as cursor:
        cursor.execute("SHOW GLOBAL STATUS")
        return {name: int(value) for name, value in cursor.fetchall() if name in COUNTED}


def _octets(link: pymysql.Connection[Cursor], table: str) -> int:
    """Of pages that are in use: what a file has beyond them is room for growth."""
    with link.cursor() as cursor:
        cursor.execute(f"ANALYZE TABLE {table}")
        cursor.fetchall()
        cursor.execute(
            "SELECT DATA_LENGTH + INDEX_LENGTH FROM information_schema.TABLES"
            " WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = %s",
            (table,),
        )
        row = cursor.fetchone()
    return int(row[0]) if row else 0


def _redis_calls(box: Sandbox) -> int:
    target = redis.Redis(unix_socket_path=str(box.redis.socket))
    with target:
        return int(target.info("stats")["total_commands_processed"])


SCENARIO: Final = Scenario(
    "database",
    measure,
    [options.count(200_000), options.sessions],
    smoke={"count": 400, "sessions": 20},
)
