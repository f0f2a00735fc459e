"""A bare aiosmtplib loop on uvloop: each session logs in once and sends message after message.

Run as a process of its own, `python -m benchmarks.peers.aiosmtplib_loop`; prints its readings
as JSON.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

import aiosmtplib
import msgspec
import uvloop

from benchmarks import meter
from benchmarks.figures import Reading
from benchmarks.peers.order import Order


async def send(order: Order, message: bytes) -> Reading:
    """Sends all of it."""
    numbers = iter(range(order.count))

    async def session() -> None:
        client = aiosmtplib.SMTP(
            hostname=order.host, port=order.port, use_tls=False, start_tls=False
        )
        async with client:
            for number in numbers:  # shared: whoever is free takes the next
                await client.sendmail(order.sender, [f"{number}@customer.example"], message)

    started, used = time.monotonic(), time.process_time()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(order.sessions):
            tasks.create_task(session())
    return Reading(
        messages=order.count,
        seconds=time.monotonic() - started,
        cpu_seconds=time.process_time() - used,
        peak_memory_kib=meter.peak_memory_kib(os.getpid()),
    )


def main() -> None:
    """Carries out the order."""
    order = msgspec.json.decode(sys.argv[1], type=Order)
    reading = uvloop.run(send(order, Path(order.message_file).read_bytes()))
    sys.stdout.buffer.write(msgspec.json.encode(reading))


if __name__ == "__main__":
    main()
