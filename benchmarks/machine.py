"""What a result was measured on and with: machine, versions, commit."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Final

import msgspec

from campaignd.sandbox import binaries

PROJECT: Final = Path(__file__).parents[1]
PACKAGES: Final = ("uvloop", "aiosmtplib", "aiomysql", "PyMySQL", "redis", "hiredis", "Jinja2")
_TIMEOUT: Final = 10.0  # seconds; these programs answer in milliseconds


class Machine(msgspec.Struct, frozen=True):
    """Goes into every result."""

    processor: str
    cores: int
    memory_gib: float
    kernel: str
    system: str
    python: str
    packages: dict[str, str]
    programs: dict[str, str]
    commit: str
    """With `+` when files differ from it; `unknown` outside a git checkout."""
    huge_pages_mib: float = 0.0
    """What is set aside for whoever asks for it, as MariaDB here does."""

    @property
    def memory(self) -> str:
        """For people."""
        huge = f", {self.huge_pages_mib:,.0f} MiB of it huge pages" if self.huge_pages_mib else ""
        return f"{self.memory_gib:g} GiB{huge}"

    @property
    def summary(self) -> str:
        """One line for people."""
        return (
            f"{self.processor}, {self.cores} cores, {self.memory}; {self.system},"
            f" Linux {self.kernel}; Python {self.python}; commit {self.commit}"
        )


def describe() -> Machine:
    """This machine, now."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return Machine(
        processor=processor(Path("/proc/cpuinfo").read_text()),
        cores=len(os.sched_getaffinity(0)),
        memory_gib=round(pages / 2**30, 1),
        kernel=platform.release(),
        system=_system(),
        python=platform.python_version(),
        packages={name: metadata.version(name) for name in PACKAGES},
        programs={
            "mariadbd": _version("mariadbd", "--version"),
            "redis-server": _version("redis-server", "--version"),
            "postfix": _version("postconf", "-hd", "mail_version"),
        },
        commit=_commit(),
        huge_pages_mib=huge_pages_mib(Path("/proc/meminfo").read_text()),
    )


def processor(cpuinfo: str) -> str:
    """Its name in /proc/cpuinfo, which some machines keep to themselves."""
    name = re.search(r"^model name\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    return name[1] if name else platform.machine()


def huge_pages_mib(meminfo: str) -> float:
    """Those of the default size in /proc/meminfo, used or not."""
    told = dict(re.findall(r"^(HugePages_Total|Hugepagesize): +(\d+)", meminfo, re.MULTILINE))
    return int(told.get("HugePages_Total", 0)) * int(told.get("Hugepagesize", 0)) / 1024


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.system()


def _version(program: str, *options: str) -> str:
    path = shutil.which(program, path=binaries.search_path())
    if path is None:
        return "unknown"
    text = _output(path, *options)
    number = re.search(r"(?:Ver |v=)?(\d+\.\d+[^\s,]*)", text)
    return number[1] if number else "unknown"


def _commit() -> str:
    commit = _output("git", "-C", str(PROJECT), "rev-parse", "--short=12", "HEAD")
    if not commit:
        return "unknown"
    changed = _output("git", "-C", str(PROJECT), "status", "--porcelain")
    return commit + ("+" if changed else "")


def _output(*command: str) -> str:
    try:
        return subprocess.run(
            command, capture_output=True, check=True, text=True, timeout=_TIMEOUT
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""
