"""The wall clock of a host is set forward and back under load."""

from __future__ import annotations

import sys
from pathlib import Path

from campaignd.sandbox.box import Sandbox
from campaignd.sandbox.policy import Fate, Rule, SinkPolicy
from tests.faults.scenario import Pair
from tests.faults.shifted import VARIABLE, set_shift
from tests.faults.stage import Stage

HOUR = 3_600.0
ROOT = Path(__file__).parents[2]
SOME_DEFERRED = SinkPolicy(rules=(Rule(Fate.DEFER, share=0.05, once=True),))


SHIFTS = (HOUR, -HOUR, 0.0)


def test_set_under_load(box: Sandbox) -> None:
    """One host of two. Nothing that it puts off meanwhile is late by an hour, or has expired."""
    with Stage(box, hosts=2, policy=SOME_DEFERRED, rate=300) as stage:
        pair = Pair(stage)
        clock = stage.folder / "clock"
        set_shift(clock, 0.0)
        wrong = stage.hosts[0]
        wrong.launcher = (sys.executable, "-m", "tests.faults.shifted")
        wrong.extra_environment = {VARIABLE: str(clock), "PYTHONPATH": str(ROOT)}
        stage.start()
        for number, shift in enumerate(SHIFTS, 1):
            stage.wait_sent(400 * number)
            set_shift(clock, shift)
        result = pair.judge()
        assert result.resend.maybe_duplicates == 0
        for verdict in result:
            assert verdict.outcomes == {"accepted": verdict.recipients}
