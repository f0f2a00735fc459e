from __future__ import annotations

import io
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from benchmarks import machine, report
from benchmarks.figures import Reading
from benchmarks.machine import Machine

HERE = Machine(
    processor="Test 9000",
    cores=2,
    memory_gib=4.0,
    kernel="6.1",
    system="Debian",
    python="3.11.2",
    packages={},
    programs={},
    commit="0123456789ab+",
)


def reading(rate: float, database: float = 0.0) -> Reading:
    return Reading(
        messages=100,
        seconds=100 / rate,
        cpu_seconds=0.005,
        peak_memory_kib=2048,
        database_cpu_seconds=database,
    )


def result() -> report.Result:
    return report.summarise(
        "throughput",
        HERE,
        {"size": 4_096},
        {"campaignd": [reading(9_000, 0.001)], "smtp-source": [reading(10_000)]},
    )


def test_the_first_is_compared_with_the_others() -> None:
    assert result().ratios == {"smtp-source": pytest.approx(0.9)}


def test_table() -> None:
    console = Console(file=io.StringIO(), width=160)
    console.print(report.table(result()))
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    [mine] = [line for line in shown.splitlines() if "campaignd" in line]
    [peer] = [line for line in shown.splitlines() if "smtp-source" in line]
    assert "9,000" in mine
    assert "10.0" in mine  # the database's microseconds
    assert "0.90 x this" in peer


def test_json_is_complete(tmp_path: Path) -> None:
    path = report.write(result(), "throughput", tmp_path / "out.json")
    read = msgspec.json.decode(path.read_bytes(), type=report.Result)
    assert read.runs == result().runs
    assert read.machine == HERE


def test_processor() -> None:
    assert machine.processor("processor\t: 0\nmodel name\t: AMD EPYC\n") == "AMD EPYC"
    assert machine.processor("Features: fp asimd\n")


def test_huge_pages() -> None:
    text = "MemTotal: 24 kB\nHugePages_Total:    1400\nHugePages_Free:  3\nHugepagesize:  2048 kB\n"
    assert machine.huge_pages_mib(text) == 2_800
    assert machine.huge_pages_mib("MemTotal: 24 kB\n") == 0


def test_this_machine() -> None:
    here = machine.describe()
    assert here.cores >= 1
    assert here.packages["uvloop"]
    assert here.python in here.summary
