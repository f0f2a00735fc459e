from __future__ import annotations

import os
import time

from benchmarks import meter

STATUS = "Name:\tpython3\nVmHWM:\t   61234 kB\nVmRSS:\t   51234 kB\nThreads:\t1\n"


def test_cpu_of_a_process_with_an_odd_name() -> None:
    stat = f"17 (a) b (c) S {' '.join(['0'] * 10)} 250 50 9 9 20 0 1 0 100"
    assert meter.parse_cpu(stat) == 300 / meter.TICKS_PER_SECOND


def test_memory() -> None:
    assert meter.parse_kib(STATUS, "VmHWM") == 61_234
    assert meter.parse_kib(STATUS, "VmRSS") == 51_234


def test_memory_of_a_process_that_ended() -> None:
    assert meter.parse_kib("Name:\tgone\nState:\tZ (zombie)\n", "VmRSS") == 0


def test_own_process() -> None:
    tick = 1 / meter.TICKS_PER_SECOND
    before, used = meter.cpu_seconds(os.getpid()), time.process_time()
    while time.process_time() - used < 5 * tick:
        pass
    assert meter.cpu_seconds(os.getpid()) - before >= 3 * tick
    assert 0 < meter.memory_kib(os.getpid()) <= meter.peak_memory_kib(os.getpid())
