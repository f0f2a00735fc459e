"""The usual shape of a test here: two campaigns run, a fault comes, both must end well.

One campaign resends what is unknown, the other keeps it, so every fault meets both policies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from campaignd.model import UnknownPolicy
from campaignd.sandbox.box import Sandbox
from tests.faults.checker import Verdict
from tests.faults.stage import Stage

RECIPIENTS = 1_200
"""In each of the two campaigns."""

SHARD = 300
"""Recipients of a shard: small, so that a few thousand recipients are many shards."""


class Result(NamedTuple):
    """What became of the two campaigns."""

    resend: Verdict
    keep: Verdict


class Pair:
    """Two campaigns on a stage, started together."""

    def __init__(self, stage: Stage, recipients: int = RECIPIENTS) -> None:
        self.stage = stage
        self.resend, self.keep = self.ids = tuple(
            stage.campaign(recipients, unknown=policy, shard_size=SHARD)
            for policy in (UnknownPolicy.RESEND, UnknownPolicy.KEEP)
        )

    def judge(self) -> Result:
        """Waits for both to finish; raises AssertionError for any broken promise."""
        self.stage.wait_finished(*self.ids)
        result = Result(self.stage.judge(self.resend), self.stage.judge(self.keep))
        problems = result.resend.problems() + result.keep.problems(keep=True)
        assert not problems, "\n".join([*problems, self.stage.describe()])
        return result


@contextmanager
def running(
    box: Sandbox, *, recipients: int = RECIPIENTS, after: int = 300, **options: Any
) -> Iterator[Pair]:
    """Two campaigns under way: `after` messages are sent when the block begins."""
    with Stage(box, **{"rate": 800, **options}) as stage:
        pair = Pair(stage, recipients)
        stage.start()
        stage.wait_sent(after)
        yield pair


def survives(box: Sandbox, fault: Callable[[Stage], object], **options: Any) -> Result:
    """Runs a fault in mid-run and judges."""
    with running(box, **options) as pair:
        fault(pair.stage)
        return pair.judge()
