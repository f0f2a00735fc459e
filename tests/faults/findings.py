"""What a long run came to, and whether a promise was broken."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from campaignd.model import UnknownPolicy
from tests.faults.checker import Verdict
from tests.faults.takeovers import Takeover

HOSTS = 3
TTL = 2.0
MOST_AMBIGUOUS = 1_000
MEDIAN_TAKEOVER = TTL + 2
WORST_TAKEOVER = TTL + 5
MOST_MEMORY_KIB = 160 * 1024
"""Resident memory of a daemon with two small campaigns; it starts with about half of it."""


@dataclass(slots=True)
class Findings:
    """What a run came to."""

    seed: int
    recipients: int
    seconds: float
    faults: Counter[str] = field(default_factory=Counter)
    history: list[tuple[float, float, str]] = field(default_factory=list)
    """When each fault began, when it was to end (monotonic), and its kind."""
    starts: int = 0
    takeovers: list[Takeover] = field(default_factory=list)
    clean_takes: int = 0
    fenced: int = 0
    settled: int = 0
    crashes: list[str] = field(default_factory=list)
    r1_read: int = 0
    r1_wrong: list[str] = field(default_factory=list)
    memory: dict[str, list[int]] = field(default_factory=dict)
    """KiB, once a second."""
    quiet_seconds: float = 0.0
    verdicts: dict[UnknownPolicy, Verdict] = field(default_factory=dict)

    def problems(self) -> list[str]:
        """Every promise that was broken."""
        found = [f"crash: {crash}" for crash in self.crashes] + self.r1_wrong[:5]
        for policy, verdict in self.verdicts.items():
            keep = policy is UnknownPolicy.KEEP
            found += [f"{policy}: {problem}" for problem in verdict.problems(keep=keep)]
        times = self.times
        if times and statistics.median(times) > MEDIAN_TAKEOVER:
            found.append(f"median takeover {statistics.median(times):.1f} s")
        if times and max(times) > WORST_TAKEOVER:
            found.append(f"slowest takeover {max(times):.1f} s")
        worst = max((takeover.ambiguous for takeover in self.takeovers), default=0)
        if worst > MOST_AMBIGUOUS:
            found.append(f"{worst} ambiguous recipients of one daemon")
        peak = max((max(samples) for samples in self.memory.values() if samples), default=0)
        if peak > MOST_MEMORY_KIB:
            found.append(f"{peak / 1024:.0f} MiB of memory")
        return found

    @property
    def times(self) -> list[float]:
        """Seconds of the takeovers that nothing else held up."""
        return [t.seconds for t in self.takeovers if t.seconds is not None and not t.hampered]

    def _slow(self, takeover: Takeover) -> bool:
        return not takeover.hampered and (takeover.seconds or 0) > MEDIAN_TAKEOVER

    def _explained(self, takeover: Takeover) -> str:
        end = takeover.lost_at + (takeover.seconds or 0)
        meanwhile = [
            f"{name} {begun - takeover.lost_at:+.1f} to {until - takeover.lost_at:+.1f}"
            for begun, until, name in self.history
            if begun < end and until > takeover.lost_at - 2 * TTL
        ]
        taken = " ".join(f"{seconds:.1f}" for seconds in sorted(takeover.taken.values()))
        return f"slow                 {takeover.host}: {taken}; {', '.join(meanwhile)}"

    def text(self) -> str:
        """For people."""
        lines = [
            f"seed {self.seed}: {HOSTS} daemons, {self.recipients:,} recipients,"
            f" {self.seconds:.0f} s of faults, quiet after {self.quiet_seconds:.0f} s more",
            f"faults               {self.faults.total()}: "
            + ", ".join(f"{name} {count}" for name, count in sorted(self.faults.items())),
            f"daemons started      {self.starts}",
            f"takeovers            {len(self.takeovers)} of lost hosts, {self.clean_takes} clean",
            f"takeover times       {_quantiles(self.times)}, TTL {TTL:g} s;"
            f" {sum(t.hampered for t in self.takeovers)} more with MySQL or Redis away meanwhile",
            "ambiguous, a daemon  "
            + f"{max((t.ambiguous for t in self.takeovers), default=0)} at most",
            f"settled as unknown   {self.settled}",
            f"fenced               {self.fenced} shards refused to former holders",
            f"R1                   read {self.r1_read} times, wrong {len(self.r1_wrong)} times",
            f"memory, MiB          {_memory(self.memory)}",
        ]
        for policy, verdict in self.verdicts.items():
            outcomes = ", ".join(f"{name} {n:,}" for name, n in sorted(verdict.outcomes.items()))
            lines += [
                f"{policy:<21}{verdict.recipients:,} recipients, {verdict.messages:,} messages:"
                f" {outcomes}",
                f"                     maybe_duplicate {verdict.maybe_duplicates:,},"
                f" lost {len(verdict.lost)}, without outcome {len(verdict.without_outcome)},"
                f" duplicates {len(verdict.duplicates)}, not marked {len(verdict.unmarked)}",
            ]
        lines += [self._explained(takeover) for takeover in self.takeovers if self._slow(takeover)]
        lines += [f"BROKEN: {problem}" for problem in self.problems()]
        return "\n".join(lines)


def _quantiles(times: Sequence[float]) -> str:
    if not times:
        return "none"
    return f"median {statistics.median(times):.1f} s, worst {max(times):.1f} s of {len(times)}"


def _memory(samples: dict[str, list[int]]) -> str:
    return ", ".join(
        f"{name} {min(kib) // 1024} to {max(kib) // 1024}, at the end {kib[-1] // 1024}"
        for name, kib in samples.items()
        if kib
    )
