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

# The first rule that fits a frame is its stage. A frame is `function (file:line)`.
RULES: Final[tuple[tuple[str, re.Pattern[str]], ...]] = tuple(
    (stage, re.compile(pattern))
    for stage, pattern in (
        ("compose", r"campaignd/compose/|campaignd/channels/email.py|^\S+ \(<(template|compose)"),
        ("compose", r"jinja2/|markupsafe/|email/|quopri|binascii"),
        ("SMTP", r"campaignd/(net|smtp)/"),
        ("record", r"campaignd/pipeline/record.py|campaignd/store/ledger.py.*record"),
        ("record", r"^(record|record_exactly|fact|advance|recorded|settle) \("),
        ("read", r"^(_read|_claim|_load|window|picked|claim|claim_retries) \("),
        ("rest", r"campaignd/pipeline/(scheduler|queue|turns|limit|plan).py"),
        ("rest", r"campaignd/(daemon|health|metrics|events).py|campaignd/lease/"),
        ("rest", r"campaignd/pipeline/run.py"),
        # Octets from MySQL arrive in a callback that nobody awaits by name.
        ("read", r"asyncio/streams.py|aiomysql/|pymysql/"),
    )
)


def stage_of(frames: list[str]) -> str:
    """The stage of one sample; `frames` are from the outermost to the innermost."""
    for frame in reversed(frames):
        for stage, pattern in RULES:
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
