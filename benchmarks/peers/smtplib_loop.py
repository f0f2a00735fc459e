"""A bare smtplib loop in threads: each session logs in once and sends message after message.

Run as a process of its own, `python -m benchmarks.peers.smtplib_loop`; prints its readings as
JSON.
"""

from __future__ import annotations

import os
import smtplib
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from benchmarks import meter
from benchmarks.figures import Reading
from benchmarks.peers.order import Order


def send(order: Order, message: bytes) -> Reading:
    """Sends all of it."""
    numbers = iter(range(order.count))  # shared: whoever is free takes the next

    def session() -> None:
        with smtplib.SMTP(order.host, order.port, local_hostname="localhost") as client:
            for number in numbers:
                client.sendmail(order.sender, [f"{number}@customer.example"], message)

    started, used = time.monotonic(), time.process_time()
    with ThreadPoolExecutor(order.sessions) as threads:
        for ended in [threads.submit(session) for _ in range(order.sessions)]:
            ended.result()
    return Reading(
        messages=order.count,
        seconds=time.monotonic() - started,
        cpu_seconds=time.process_time() - used,
        peak_memory_kib=meter.peak_memory_kib(os.getpid()),
    )


def main() -> None:
    """Carries out the order."""
    order = msgspec.json.decode(sys.argv[1], type=Order)
    reading = send(order, Path(order.message_file).read_bytes())
    sys.stdout.buffer.write(msgspec.json.encode(reading))


if __name__ == "__main__":
    main()
