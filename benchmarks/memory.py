"""The daemon's memory over one long campaign: flat, however long the audience is."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click
import msgspec
from rich.table import Table

from benchmarks import machine, material, meter, options, report
from benchmarks.machine import Machine
from benchmarks.receiver import Receiver
from benchmarks.service import Service
from benchmarks.workshop import sandbox

SMOKE_COUNT: Final = 2_000
SMOKE_SESSIONS: Final = 20
SLOWEST: Final = 500
"""Messages a second; a run that is slower than this is given up."""
_SAMPLE_SECONDS: Final = 0.25

_log: Final = logging.getLogger("benchmarks")


class Sample(msgspec.Struct, frozen=True):
    """At one moment of the run."""

    seconds: float
    """Since the start."""
    messages: int
    """That the receiver had taken."""
    memory_kib: int


class Tenth(msgspec.Struct, frozen=True):
    """When so many tenths of the messages had been taken."""

    percent: int
    memory_kib: int
    counts_add_up: bool
    """R1, as `status --json` had it then."""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What is written as JSON."""

    scenario: str
    at: datetime
    machine: Machine
    options: dict[str, Any]
    enqueue_rows_per_second: float
    enqueue_peak_memory_kib: int
    rate: float
    cpu_us: float
    peak_memory_kib: int
    tenths: list[Tenth]
    samples: list[Sample]


@click.command()
@options.count(1_000_000)
@options.size
@options.sessions
@options.json_file
@options.smoke
def memory(count: int, size: int, sessions: int, json_file: Path | None, smoke: bool) -> None:
    """The daemon's memory over a campaign of a million, and R1 all along."""
    if smoke:
        count, sessions = SMOKE_COUNT, SMOKE_SESSIONS
    with sandbox() as box:
        message = material.make(box.folder, size)
        recipients = box.folder / "recipients.csv"
        material.write_recipients(recipients, count)
        with (
            Receiver(box.supervisor, sessions) as receiver,
            Service(box, receiver.relays()) as service,
        ):
            result = _measure(receiver, service, message.campaign, recipients, count)
            receiver.expect(count)
    result = msgspec.structs.replace(
        result, options={"count": count, "size": round(message.mean_size), "sessions": sessions}
    )
    report.show(table(result), summary(result), result.machine)
    click.echo(f"written to {report.write(result, 'memory', json_file)}")


def _measure(
    receiver: Receiver, service: Service, campaign_file: Path, recipients: Path, count: int
) -> Result:
    _log.info("enqueueing %d recipients", count)
    enqueued = service.enqueue(campaign_file, recipients)
    campaign = enqueued.campaign
    _log.info("enqueued in %.1f s", enqueued.seconds)
    samples: list[Sample] = []
    tenths: list[Tenth] = []
    used = meter.cpu_seconds(service.pid)
    service.start(campaign)
    started = time.monotonic()

    def look() -> None:
        elapsed = time.monotonic() - started
        if samples and elapsed - samples[-1].seconds < _SAMPLE_SECONDS:
            return
        sample = Sample(round(elapsed, 3), receiver.messages, meter.memory_kib(service.pid))
        samples.append(sample)
        percent = sample.messages * 10 // count * 10
        if percent > (tenths[-1].percent if tenths else 0):
            tenths.append(_tenth(service, campaign, percent))

    service.wait_finished(campaign, 60 + count / SLOWEST, look)
    used = meter.cpu_seconds(service.pid) - used
    if not tenths or tenths[-1].percent < 100:
        tenths.append(_tenth(service, campaign, 100))
    status = service.expect_finished(campaign, count)
    assert status.started_at is not None and status.finished_at is not None
    return Result(
        scenario="memory",
        at=datetime.now(UTC),
        machine=machine.describe(),
        options={},
        enqueue_rows_per_second=count / enqueued.seconds,
        enqueue_peak_memory_kib=enqueued.peak_memory_kib,
        rate=count / (status.finished_at - status.started_at),
        cpu_us=used / count * 1e6,
        peak_memory_kib=meter.peak_memory_kib(service.pid),
        tenths=tenths,
        samples=samples,
    )


def _tenth(service: Service, campaign: int, percent: int) -> Tenth:
    resident = meter.memory_kib(service.pid)
    service.status(campaign)  # raises unless the counts add up
    _log.info("%3d %%: %.1f MiB resident, counts add up", percent, resident / 1024)
    return Tenth(percent, resident, counts_add_up=True)


def table(result: Result) -> Table:
    """The run by tenths."""
    grid = Table(title=f"memory over {result.options['count']:,} recipients")
    for heading in ("sent", "resident MiB", "counts add up"):
        grid.add_column(heading, justify="right")
    for tenth in result.tenths:
        grid.add_row(f"{tenth.percent} %", f"{tenth.memory_kib / 1024:.1f}", "yes")
    return grid


def summary(result: Result) -> str:
    """The run as a whole."""
    return (
        f"daemon: {result.rate:,.0f} messages/s, {result.cpu_us:.1f} us each,"
        f" peak {result.peak_memory_kib / 1024:.1f} MiB\n"
        f"enqueue: {result.enqueue_rows_per_second:,.0f} rows/s,"
        f" peak {result.enqueue_peak_memory_kib / 1024:.1f} MiB"
    )
