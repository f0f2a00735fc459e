"""docs/operations.md against the code: no event is missing, no metric is invented."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from campaignd import events, metrics

PROJECT = Path(__file__).parents[3]
GUIDE = (PROJECT / "docs" / "operations.md").read_text()
LOGGING = {"_info", "_emit", "_throttled", "critical"}


def logged() -> set[str]:
    """The names of all events in events.py."""
    names = set()
    for node in ast.walk(ast.parse(Path(events.__file__).read_text())):
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else ""
            called = node.func.id if isinstance(node.func, ast.Name) else called
            texts = [arg.value for arg in node.args if isinstance(arg, ast.Constant)]
            if called in LOGGING and texts and isinstance(texts[0], str):
                names.add(texts[0])
    return names


def described() -> set[str]:
    """The names in the table of events."""
    [table] = re.findall(r"### Events\n(.*?)\n## ", GUIDE, re.DOTALL)
    return set(re.findall(r"^\| `([a-z-]+)` \|", table, re.MULTILINE))


def test_the_parser_sees_events() -> None:
    assert {"started", "mysql-trouble", "shard-taken", "crashed"} <= logged()


def test_every_event_is_described_and_no_other() -> None:
    assert described() == logged()


def test_every_metric_that_is_named_exists() -> None:
    exposed = set()
    for family in metrics.registry.collect():
        exposed |= {family.name, f"{family.name}_total", f"{family.name}_bucket"}
    named = set(re.findall(r"\b(?:campaignd|process)_[a-z_]+[a-z]\b", GUIDE))
    assert len(named) >= 12
    assert named <= exposed, f"unknown: {sorted(named - exposed)}"
