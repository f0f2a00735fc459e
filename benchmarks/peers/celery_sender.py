"""Celery with smtplib as a candidate: the same job as campaignd's, end to end."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec
import pymysql
from pymysql.cursors import Cursor

from benchmarks import machine, material, meter
from benchmarks.candidates import RUN_TIMEOUT
from benchmarks.errors import BenchmarkError
from benchmarks.farend import FarEnd
from benchmarks.figures import Reading
from benchmarks.peers.batch_job import TABLES, Campaign, batches
from campaignd.sandbox.box import Sandbox
from campaignd.sandbox.supervisor import Child

WORKERS: Final = 2
_READY: Final = b"waiting for tasks"  # what celery_app prints then
_READY_TIMEOUT: Final = 60.0  # seconds
_STOP_TIMEOUT: Final = 30.0  # seconds
_POLL_SECONDS: Final = 0.02
_ROWS: Final = 1_000  # of one INSERT


def available() -> bool:
    """Whether Celery is installed: `pip install campaignd[bench]`."""
    return importlib.util.find_spec("celery") is not None


class CelerySender:
    """Redis as the broker, two worker processes, batches of a hundred."""

    name = "Celery + smtplib"

    def __init__(self, box: Sandbox, campaign: Path) -> None:
        self._box = box
        self._folder = campaign.parent

    def run(self, receiver: FarEnd, count: int) -> Reading:
        """From the first task's dispatch until all are in the ledger. The workers are up and
        connected before, and their start does not count, nor does loading the recipients."""
        database = f"c{receiver.port}"
        self._box.create_database(database)
        try:
            with pymysql.connect(
                unix_socket=str(self._box.mariadb.socket),
                user="campaignd",
                database=database,
                autocommit=True,
            ) as link:
                load(link, count)
                return self._measure(link, database, receiver, count)
        finally:
            self._box.drop_database(database)

    def _measure(
        self, link: pymysql.Connection[Cursor], database: str, receiver: FarEnd, count: int
    ) -> Reading:
        campaign = campaign_for(self._box, self._folder, database, receiver)
        broker = f"redis+socket://{self._box.redis.socket}"
        environment = {
            **os.environ,
            "PYTHONPATH": str(machine.PROJECT),
            "CELERY_BROKER_URL": broker,
            "BENCHMARK_CAMPAIGN": msgspec.json.encode(campaign).decode(),
        }
        log = self._box.folder / f"celery-{receiver.port}.log"
        worker = self._box.supervisor.spawn(
            [
                *(sys.executable, "-m", "celery", "-A", "benchmarks.peers.celery_app", "worker"),
                *("--pool", "prefork", "--concurrency", str(WORKERS), "--loglevel", "WARNING"),
                *("--without-gossip", "--without-mingle", "--without-heartbeat"),
            ],
            log,
            environment,
        )
        try:
            self._wait(worker, lambda: _READY in log.read_bytes(), _READY_TIMEOUT, log)
            time.sleep(0.5)  # for the connections of processes that are ready
            pids = [worker.pid, *children(worker.pid)]
            database_cpu = meter.cpu_seconds(self._box.mariadb.pid)
            used = sum(map(meter.cpu_seconds, pids))
            started, own = time.monotonic(), time.process_time()
            dispatch(broker, count)
            own = time.process_time() - own
            self._wait(worker, lambda: recorded(link) == count, RUN_TIMEOUT, log)
            seconds = time.monotonic() - started
            return Reading(
                messages=count,
                seconds=seconds,
                cpu_seconds=sum(map(meter.cpu_seconds, pids)) - used + own,
                peak_memory_kib=sum(map(meter.peak_memory_kib, pids)),
                database_cpu_seconds=meter.cpu_seconds(self._box.mariadb.pid) - database_cpu,
            )
        finally:
            worker.signal(signal.SIGTERM)
            if worker.wait(_STOP_TIMEOUT) is None:
                worker.signal(signal.SIGKILL)

    def _wait(
        self, worker: Child, condition: Callable[[], bool], timeout: float, log: Path
    ) -> None:
        deadline = time.monotonic() + timeout
        while not condition():
            if not worker.running or time.monotonic() > deadline:
                last = log.read_text("utf-8", "replace").strip().splitlines()[-1:]
                raise BenchmarkError(f"Celery does not get on: {''.join(last)}")
            time.sleep(_POLL_SECONDS)


def campaign_for(box: Sandbox, folder: Path, database: str, receiver: FarEnd) -> Campaign:
    """The same campaign that campaignd sends, for `batch_job`."""
    return Campaign(
        mysql_socket=str(box.mariadb.socket),
        database=database,
        host=receiver.host,
        port=receiver.port,
        sender=material.SENDER,
        subject=material.SUBJECT,
        text=(folder / "spring.txt").read_text(),
        html=(folder / "spring.html").read_text(),
    )


def load(link: pymysql.Connection[Cursor], count: int) -> None:
    """The tables, and so many recipients."""
    rows = (
        (number, address, json.dumps(dict(zip(material.FIELDS, values, strict=True))))
        for number, (address, *values) in enumerate(islice(material.recipients(), count), start=1)
    )
    with link.cursor() as cursor:
        for table in TABLES:
            cursor.execute(table)
        while some := list(islice(rows, _ROWS)):
            cursor.executemany(
                "INSERT INTO recipients (id, email, fields) VALUES (%s, %s, %s)", some
            )


def recorded(link: pymysql.Connection[Cursor]) -> int:
    """Recipients that the ledger says were accepted."""
    with link.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM ledger WHERE code = 250")
        row = cursor.fetchone()
    return int(row[0]) if row else 0


def dispatch(broker: str, count: int) -> None:
    """All tasks, over one connection."""
    import celery  # an optional dependency

    app = celery.Celery("benchmark", broker=broker)
    with app.connection_for_write() as connection, app.amqp.Producer(connection) as producer:
        for first, last in batches(count):
            app.send_task("send_batch", (first, last), producer=producer, ignore_result=True)


def children(pid: int) -> list[int]:
    """Its child processes."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]
