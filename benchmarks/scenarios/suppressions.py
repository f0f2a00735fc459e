"""What a long list of suppressions costs, and how fast one is imported."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

import msgspec
import pymysql
from pymysql.cursors import Cursor

from benchmarks import options
from benchmarks.candidates import RUN_TIMEOUT
from benchmarks.errors import BenchmarkError
from benchmarks.figures import Reading
from benchmarks.findings import Finding, relative
from benchmarks.receiver import Receiver
from benchmarks.scenario import Measured, Scenario
from benchmarks.service import Service
from benchmarks.workshop import Workshop
from campaignd.model import SHARD_SIZE
from campaignd.pipeline.protocol import WINDOW
from campaignd.store.sql import ledger as sql

ACCOUNT: Final = "acme"
"""Of the campaigns, and of the suppressions."""

LISTS: Final = ("suppressions_none", "suppressions_full")
"""Tables of which one at a time stands in the place of `suppressions`."""

BUFFER_POOL_MIB: Final = 2_048
"""Holds the whole list: one that the server has to read from a disk is another matter."""


def measure(
    workshop: Workshop,
    *,
    count: int,
    suppressions: int,
    repetitions: int,
    sessions: int,
    imported: int,
) -> Measured:
    """Sends, and reads windows, with an empty list and with a long one in turn; imports one.

    None of the recipients is on the list, so that both send the same. The list lies in the
    server's memory.
    """
    names = ("no suppressions", f"{suppressions:,} suppressions")
    runs: dict[str, list[Reading]] = {name: [] for name in names}
    windows: dict[str, list[float]] = {name: [] for name in names}
    with (
        Receiver(workshop.supervisor, sessions) as receiver,
        Service(workshop.box, receiver.relays()) as service,
        service.connect() as link,
    ):
        octets = _fill(link, suppressions)
        audience = workshop.recipients(count)
        warm_up = service.enqueue(workshop.campaign, audience).campaign
        _run(service, receiver, warm_up, count)
        _take_away(link, LISTS[0])
        lists = list(zip(names, LISTS, strict=True))
        for repetition in range(repetitions):
            # A B, B A: what the one before leaves behind meets both.
            for name, table in reversed(lists) if repetition % 2 else lists:
                campaign = service.enqueue(workshop.campaign, audience).campaign
                _put(link, table)
                windows[name].append(_read(link, campaign, count))
                runs[name].append(_run(service, receiver, campaign, count))
                _take_away(link, table)
        _put(link, LISTS[0])
        took = _import(workshop, service, imported)
    none, full = names
    return Measured(
        [
            Finding(
                what=f"end to end with {full} against none",
                unit="times",
                values=relative([run.rate for run in runs[full]], [run.rate for run in runs[none]]),
                at_least=0.95,
                note="on two cores, which daemon, MariaDB and receiver share",
            ),
            Finding(
                what="what the long list adds to MariaDB's work",
                unit="us of CPU a message",
                values=[
                    long.database_cpu_us - short.database_cpu_us
                    for long, short in zip(runs[full], runs[none], strict=True)
                ],
            ),
            *(
                Finding(what=f"a window's statement, {name}", unit="us a recipient", values=values)
                for name, values in windows.items()
            ),
            Finding(what="a suppression in MySQL", unit="octets", values=[octets]),
            Finding(
                what=f"suppress import of {imported:,} rows",
                unit="rows/s",
                values=[imported / took["seconds"]],
            ),
            Finding(
                what="the same again",
                unit="rows/s",
                values=[imported / took["seconds again"]],
            ),
        ],
        {name: runs[name] for name in names},
    )


def _fill(link: pymysql.Connection[Cursor], count: int) -> float:
    """Makes both lists; returns the octets of an entry in the long one."""
    none, full = LISTS
    with link.cursor() as cursor:
        cursor.execute(f"RENAME TABLE suppressions TO {none}")
        cursor.execute(f"CREATE TABLE {full} LIKE {none}")
        cursor.execute(
            f"INSERT INTO {full} (account, kind, suppression_key, address, reason, created_at)"
            " SELECT %s, 1, UNHEX(MD5(address)) AS suppression_key, address, 4, NOW(3) FROM"
            " (SELECT CONCAT('person.', seq, '@example', seq MOD 97, '.example') AS address"
            f" FROM seq_1_to_{count}) AS people ORDER BY suppression_key",
            (ACCOUNT,),
        )
        cursor.execute(f"ANALYZE TABLE {full}")
        cursor.fetchall()
        cursor.execute(
            "SELECT DATA_LENGTH + INDEX_LENGTH FROM information_schema.TABLES"
            " WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = %s",
            (full,),
        )
        row = cursor.fetchone()
    _put(link, none)
    return int(row[0]) / count if row else 0.0


def _put(link: pymysql.Connection[Cursor], table: str) -> None:
    with link.cursor() as cursor:
        cursor.execute(f"RENAME TABLE {table} TO suppressions")


def _take_away(link: pymysql.Connection[Cursor], table: str) -> None:
    with link.cursor() as cursor:
        cursor.execute(f"RENAME TABLE suppressions TO {table}")


def _read(link: pymysql.Connection[Cursor], campaign: int, count: int) -> float:
    """Microseconds for a recipient of an audience that is read in windows, by one who does
    nothing with it."""
    started = time.perf_counter()
    with link.cursor() as cursor:
        for first in range(0, count, WINDOW):
            shard, above = divmod(first, SHARD_SIZE)
            cursor.execute(sql.WINDOW, (ACCOUNT, ACCOUNT, campaign, shard, above, above + WINDOW))
            cursor.fetchall()
    return (time.perf_counter() - started) / count * 1e6


def _run(service: Service, receiver: Receiver, campaign: int, count: int) -> Reading:
    before, taken = receiver.cpu_seconds, receiver.messages
    used, database = service.cpu_seconds, service.database_cpu_seconds
    service.start(campaign)
    service.wait_finished(campaign, RUN_TIMEOUT + count / 500, lambda: None)
    used, database = service.cpu_seconds - used, service.database_cpu_seconds - database
    status = service.expect_finished(campaign, count)
    receiver.expect(taken + count)
    assert status.started_at is not None and status.finished_at is not None
    return Reading(
        messages=count,
        seconds=status.finished_at - status.started_at,
        cpu_seconds=used,
        peak_memory_kib=service.peak_memory_kib,
        receiver_cpu_seconds=receiver.cpu_seconds - before,
        database_cpu_seconds=database,
    )


def _import(workshop: Workshop, service: Service, count: int) -> Mapping[str, float]:
    path = workshop.box.folder / "suppressions.csv"
    with path.open("w") as file:
        file.write("email,reason\n")
        file.writelines(
            f"Person.{number}@example{number % 997}.example,unsubscribed\n"
            for number in range(count)
        )
    command = ("suppress", "import", str(path), "--account", ACCOUNT, "--json")
    first: dict[str, Any] = msgspec.json.decode(service.command(*command))
    again: dict[str, Any] = msgspec.json.decode(service.command(*command))
    if (first["added"], again["added"], again["known"]) != (count, 0, count):
        raise BenchmarkError(f"imported {first}, then {again}, not {count:,} rows and then none")
    return {"seconds": float(first["seconds"]), "seconds again": float(again["seconds"])}


SCENARIO: Final = Scenario(
    "suppressions",
    measure,
    [
        options.count(100_000),
        options.number("--suppressions", 10_000_000, "On the long list."),
        options.repetitions(6),
        options.sessions,
        options.number("--imported", 1_000_000, "Rows that are imported."),
    ],
    smoke={
        "count": 400,
        "suppressions": 2_000,
        "repetitions": 1,
        "sessions": 20,
        "imported": 2_000,
    },
    full={"repetitions": 4, "imported": 300_000},
    servers={"buffer_pool_mib": BUFFER_POOL_MIB},
)
