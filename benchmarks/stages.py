"""Where the daemon's time goes: what py-spy has seen, by the stages of the pipeline.

A sample belongs to the innermost of its frames that says whose work it is. What runs below a frame
of Python, as a system call or C code, is that frame's.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

BUDGET_US: Final[Mapping[str, float]] = {
    "read": 6.0,
    "compose": 35.0,
    "SMTP": 20.0,
    "record": 4.0,
    "rest": 10.0,
}
"""Microseconds for a message, of the design."""

Rules = tuple[tuple[str, re.Pattern[str]], ...]


def _rules(*rules: tuple[str, str]) -> Rules:
    return tuple((stage, re.compile(pattern)) for stage, pattern in rules)


# The first rule that fits a frame is its stage. A frame is `function (file:line)`.
RULES: Final = _rules(
    ("compose", r"campaignd/compose/|campaignd/channels/email\.py"),
    ("SMTP", r"campaignd/(net|smtp)/"),
    ("record", r"campaignd/pipeline/record\.py|\brecord\w* \(campaignd/store/ledger\.py"),
    ("record", r"\b(fact|advance|recorded|settle) \(campaignd/pipeline/"),
    ("read", r"\b(_read|_claim)\b.* \(campaignd/pipeline/(issue|run)\.py"),
    ("read", r"campaignd/store/(ledger|shards)\.py"),
    ("rest", r"campaignd/pipeline/|campaignd/lease/"),
    ("rest", r"campaignd/(daemon|health|metrics|events)\.py"),
)

# For samples without any frame of ours: callbacks that nobody awaits by name.
ORPHANS: Final = _rules(
    ("compose", r"^\S+ \(<"),  # templates that were compiled to code
    ("read", r"asyncio/streams\.py|aiomysql/|pymysql/"),
)


def stage_of(frames: list[str]) -> str:
    """The stage of one sample; `frames` are from the outermost to the innermost."""
    for rules in (RULES, ORPHANS):
        for frame in reversed(frames):
            for stage, pattern in rules:
                if pattern.search(frame):
                    return stage
    return "rest"


def by_stage(raw: Iterable[str]) -> Counter[str]:
    """Samples by stage. `raw` are lines of `py-spy record --format raw`: frames, then a count."""
    found: Counter[str] = Counter()
    for line in raw:
        frames, _, count = line.strip().rpartition(" ")
        if frames and count.isdigit():
            found[stage_of(frames.split(";"))] += int(count)
    return found


def microseconds(samples: Mapping[str, int], cpu_us: float) -> dict[str, float]:
    """A message's CPU time by stage, in the order of the budget."""
    total = sum(samples.values()) or 1
    return {stage: samples.get(stage, 0) / total * cpu_us for stage in BUDGET_US}
