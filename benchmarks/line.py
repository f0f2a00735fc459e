"""A line of a given length: every packet arrives a fixed time after it was sent.

Run as a process, `python line.py SECONDS`, in a network namespace of its own (see `distant`);
SECONDS is one way, and 0 shows what the line itself costs. The kernel hands it the packets to FAR
through a TUN device; it gives them back with the two addresses swapped, so that they come from FAR
to NEAR, where the receiver listens. Answers go the same way. Swapped addresses have the same
checksums, and all that TCP does about distance, its round trip times above all, is real.
"""

from __future__ import annotations

import fcntl
import os
import select
import struct
import subprocess
import sys
import time
from collections import deque
from pathlib import Path
from typing import Final

NEAR: Final = "127.1.0.1"
FAR: Final = "127.1.0.2"
DEVICE: Final = "line0"

MTU: Final = 9_000
"""Octets; of jumbo frames, so that a message of 4 KB is one packet and the line keeps up."""

QUEUE_PACKETS: Final = 50_000
"""Between the kernel and this process: bursts of thousands of sessions must not be lost."""

READ_BURST: Final = 64
"""Packets that are read before those that are due are delivered."""

_TUNSETIFF: Final = 0x400454CA  # linux/if_tun.h
_IFF_TUN: Final = 0x0001
_IFF_NO_PI: Final = 0x1000
_IP_TIMEOUT: Final = 10.0  # seconds


def open_device() -> int:
    """Makes the device and brings it up; it ends with this process."""
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    request = struct.pack("16sH22x", DEVICE.encode(), _IFF_TUN | _IFF_NO_PI)
    fcntl.ioctl(device, _TUNSETIFF, request)
    for name in ("all", DEVICE):
        # Addresses of 127.0.0.0/8 mean nothing outside this namespace, whatever goes wrong.
        Path(f"/proc/sys/net/ipv4/conf/{name}/route_localnet").write_text("1")
    ip("link", "set", DEVICE, "mtu", str(MTU), "txqueuelen", str(QUEUE_PACKETS), "up")
    ip("addr", "add", NEAR, "peer", FAR, "dev", DEVICE)
    return device


def ip(*arguments: str) -> None:
    """The command of iproute2."""
    subprocess.run(["ip", *arguments], check=True, timeout=_IP_TIMEOUT)


def carry(device: int, seconds: float) -> None:
    """Until the process is killed."""
    arrivals: deque[tuple[float, bytes]] = deque()
    clock, read, write = time.monotonic, os.read, os.write
    while True:
        wait = max(0.0, arrivals[0][0] - clock()) if arrivals else None
        select.select([device], [], [], wait)  # exact to the microsecond, as epoll is not
        due = clock() + seconds
        try:
            for _ in range(READ_BURST):
                packet = read(device, MTU)
                swapped = packet[:12] + packet[16:20] + packet[12:16] + packet[20:]
                arrivals.append((due, swapped))
        except BlockingIOError:
            pass
        now = clock()
        while arrivals and arrivals[0][0] <= now:
            write(device, arrivals.popleft()[1])


def main() -> None:
    """Carries until it is killed."""
    device = open_device()
    print("open", flush=True)
    carry(device, float(sys.argv[1]))


if __name__ == "__main__":
    main()
