"""The long run: daemons, two campaigns, a random fault every two seconds, then quiet.

    python -m tests.faults.chaos --minutes 10 --seed 1

Prints what happened and judges it; the exit status is 1 if a promise was broken. The same seed
gives the same faults at the same times, though not the same races.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Sequence

from campaignd.model import RetryPolicy, UnknownPolicy
from campaignd.sandbox.box import Sandbox
from campaignd.sandbox.policy import Fate, Rule, SinkPolicy
from tests.faults.findings import HOSTS, TTL, Findings
from tests.faults.repertoire import REPERTOIRE, Act
from tests.faults.stage import Stage
from tests.faults.takeovers import Takeovers
from tests.faults.watch import Watch

FAULT_SECONDS = 2.0
QUIET_SECONDS = 600.0
"""How long the end may take once the weather is clear."""


POLICY = SinkPolicy(
    rules=(
        Rule(Fate.DEFER, share=0.04, once=True),
        Rule(Fate.REJECT, share=0.01),
        Rule(Fate.SWALLOW, share=0.002, once=True),
        Rule(Fate.DROP, share=0.002, once=True),
    )
)
RETRY = RetryPolicy(first=2.0, factor=1.5, longest=10.0, expire=86_400.0)


class Chaos:
    """One run. `stage` is entered; the campaigns are made here."""

    def __init__(self, stage: Stage, seed: int, seconds: float, recipients: int) -> None:
        self._stage = stage
        self._random = random.Random(seed)
        self.findings = Findings(seed, recipients, seconds)
        self.findings.memory = {host.name: [] for host in stage.hosts}
        self._takeovers = Takeovers(stage)
        self._acts: list[Act] = []
        self._campaigns = {
            policy: stage.campaign(recipients // 2, unknown=policy, retry=RETRY)
            for policy in UnknownPolicy
        }

    def run(self) -> Findings:
        """All of it."""
        stage, findings = self._stage, self.findings
        stage.start()
        with Watch(stage, findings, self._takeovers, self._campaigns.values(), self._hampered):
            self._go_on()
        self._conclude()
        return findings

    def _hampered(self) -> bool:
        return any(act.hampers for act in list(self._acts))

    def _go_on(self) -> None:
        findings = self.findings
        end = time.monotonic() + findings.seconds
        next_fault = time.monotonic() + FAULT_SECONDS
        try:
            while time.monotonic() < end:
                if time.monotonic() >= next_fault:
                    next_fault += FAULT_SECONDS
                    self._strike()
                self._tend()
        finally:  # frozen servers cannot be stopped
            for act in self._acts:
                act.end()
            self._acts.clear()
        self._calm_down()

    def _strike(self) -> None:
        """One fault more; those that last overlap with others."""
        busy = {act.scope for act in self._acts}
        able = [kind for kind in REPERTOIRE if kind.scope not in busy or kind.scope == "host"]
        kind = self._random.choices(able, [kind.weight for kind in able])[0]
        act = kind.begin(self._stage, self._random, self._takeovers)
        if act is not None:
            self.findings.faults[kind.name] += 1
            self.findings.history.append((time.monotonic(), act.until, kind.name))
            self._acts.append(act)

    def _tend(self) -> None:
        """What goes on all the time: faults end, dead daemons come back."""
        now = time.monotonic()
        for act in [act for act in self._acts if now >= act.until]:
            act.end()
            self._acts.remove(act)
        held = {act.host for act in self._acts if act.host is not None}
        for host in self._stage.hosts:
            if not host.running and host not in held:
                host.launch()
        time.sleep(0.1)  # the rhythm of looking

    def _calm_down(self) -> None:
        """Until both campaigns are finished."""
        stage = self._stage
        stage.box.mariadb.thaw()
        stage.box.redis.thaw()
        for host in stage.hosts:
            host.heal()
        started = time.monotonic()
        while not stage.finished(*self._campaigns.values()):
            if time.monotonic() - started > QUIET_SECONDS:
                print(stage.describe(), file=sys.stderr)
                break
            self._tend()
        self.findings.quiet_seconds = time.monotonic() - started

    def _conclude(self) -> None:
        findings, stage = self.findings, self._stage
        findings.takeovers = self._takeovers.found
        for host in stage.hosts:
            findings.starts += len(host.events("started"))
            for event in host.events("shard-taken"):
                findings.clean_takes += bool(event.fields["clean"])
            findings.fenced += len(host.events("fenced"))
            findings.settled += sum(e.fields["count"] for e in host.events("ambiguous-resolved"))
            findings.crashes += [str(e.fields["traceback"]) for e in host.events("crashed")]
        for policy, campaign in self._campaigns.items():
            findings.verdicts[policy] = stage.judge(campaign)


def run(*, seconds: float, seed: int, recipients: int) -> Findings:
    """One run on servers of its own."""
    with (
        Sandbox() as box,
        Stage(
            box,
            hosts=HOSTS,
            ttl=TTL,
            policy=POLICY,
            connections=20,
            rate=recipients / max(seconds, 30) / HOSTS * 2.5,
        ) as stage,
    ):
        return Chaos(stage, seed, seconds, recipients).run()


def main(args: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.chaos", description=__doc__)
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=float)
    length.add_argument("--seconds", type=float)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    parser.add_argument("--recipients", type=int, default=200_000)
    options = parser.parse_args(args)
    seconds = options.seconds or (options.minutes or 10) * 60
    print(f"seed {options.seed}", flush=True)
    findings = run(seconds=seconds, seed=options.seed, recipients=options.recipients)
    print(findings.text())
    return 1 if findings.problems() else 0


if __name__ == "__main__":
    sys.exit(main())
