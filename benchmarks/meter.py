"""Readings of a running process from /proc. Linux only."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

TICKS_PER_SECOND: Final = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """User and system time of all threads, also of those that ended; steps of 10 ms."""
    return parse_cpu(Path(f"/proc/{pid}/stat").read_text())


def peak_memory_kib(pid: int) -> int:
    """The most resident memory that it ever had."""
    return parse_kib(Path(f"/proc/{pid}/status").read_text(), "VmHWM")


def memory_kib(pid: int) -> int:
    """Its resident memory now."""
    return parse_kib(Path(f"/proc/{pid}/status").read_text(), "VmRSS")


def parse_cpu(stat: str) -> float:
    """Of a line as in /proc/PID/stat, whose second field is a name that may hold anything."""
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND


def parse_kib(status: str, name: str) -> int:
    """An entry of /proc/PID/status; 0 for a process that has ended and has none any more."""
    entry = re.search(rf"^{name}:\s+(\d+) kB$", status, re.MULTILINE)
    return int(entry[1]) if entry else 0
