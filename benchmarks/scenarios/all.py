"""All scenarios, in the order in which `full` runs them."""

from __future__ import annotations

from typing import Final

from benchmarks.scenario import Scenario
from benchmarks.scenarios import (
    curves,
    database,
    delay,
    dkim,
    enqueue,
    fairness,
    idle,
    pause,
    peers,
    profile,
    scale,
    scale_out,
    slow_dot,
    suppressions,
    tls,
)

SCENARIOS: Final[tuple[Scenario, ...]] = (
    peers.SCENARIO,
    slow_dot.SCENARIO,
    tls.SCENARIO,
    dkim.SCENARIO,
    scale_out.SCENARIO,
    scale.SCENARIO,
    fairness.SCENARIO,
    pause.SCENARIO,
    enqueue.SCENARIO,
    database.SCENARIO,
    suppressions.SCENARIO,
    idle.SCENARIO,
    profile.SCENARIO,
    delay.SCENARIO,  # these two last: they change the network of the process
    curves.SCENARIO,
)
