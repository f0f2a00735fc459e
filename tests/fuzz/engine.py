"""Runs one target in this process until its time is over or it fails.

With atheris, guided by coverage; it takes over the process and never returns. Without, by
chance. Whatever happens, the input that failed is in `work`/failures.
"""

from __future__ import annotations

import faulthandler
import hashlib
import importlib.util
import sys
import time
from pathlib import Path
from typing import Final, NoReturn

from tests.fuzz import corpus
from tests.fuzz.mutate import mutations

HANG_SECONDS: Final = 20
"""An input that takes longer is a failure: the slowest that is right takes a fiftieth of it."""

MEMORY_MB: Final = 1_024
"""A target that takes more is a failure."""


def guided() -> bool:
    """Whether atheris is installed."""
    return importlib.util.find_spec("atheris") is not None


def fuzz(name: str, *, seconds: int, seed: int, work: Path) -> NoReturn:
    """Exits with 0 when nothing was found."""
    found, saved = work / "found" / name, work / "saved" / name
    failures = work / "failures"
    found.mkdir(parents=True, exist_ok=True)
    failures.mkdir(parents=True, exist_ok=True)
    corpus.unpack(name, saved)
    if guided():
        _with_atheris(
            name,
            [f"-max_total_time={seconds}", f"-seed={seed}", f"-artifact_prefix={failures}/{name}-"],
            [found, saved],
        )
    _by_chance(name, seconds=seconds, seed=seed, failures=failures)


def _with_atheris(name: str, options: list[str], folders: list[Path]) -> NoReturn:
    import atheris  # an extra, which only this needs

    with atheris.instrument_imports(include=["campaignd", "jinja2"]):
        from tests.fuzz.targets import TARGETS  # instrumented

    target = TARGETS[name]
    limits = [f"-max_len={target.longest}", f"-timeout={HANG_SECONDS}"]
    limits += [f"-rss_limit_mb={MEMORY_MB}", "-print_final_stats=1", "-len_control=0"]
    atheris.Setup([name, *options, *limits, *map(str, folders)], target.run)
    atheris.Fuzz()
    sys.exit(0)


def _by_chance(name: str, *, seconds: int, seed: int, failures: Path) -> NoReturn:
    from tests.fuzz.targets import TARGETS  # as above

    target = TARGETS[name]
    end = time.monotonic() + seconds
    for count, data in enumerate(mutations(corpus.load(name), target.longest, seed)):
        if time.monotonic() >= end:
            print(f"stat::number_of_executed_units: {count}")
            sys.exit(0)
        path = failures / f"{name}-{hashlib.sha256(data).hexdigest()[:16]}"
        path.write_bytes(data)
        faulthandler.dump_traceback_later(HANG_SECONDS, exit=True)
        target.run(data)
        faulthandler.cancel_dump_traceback_later()
        path.unlink()
    raise AssertionError("unreachable")
