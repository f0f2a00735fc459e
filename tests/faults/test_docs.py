"""docs/faults.md names every test of a fault, and no other."""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).parent
TEXT = (HERE.parents[1] / "docs" / "faults.md").read_text("utf-8")
OF_FAULTS = ("chaos", "clock", "daemon", "mysql", "redis", "smtp", "weather")


def test_the_table_and_the_tests_agree() -> None:
    named = set(re.findall(r"`(test_\w+\.py::test_\w+)`", TEXT))
    there = {
        f"test_{name}.py::{function}"
        for name in OF_FAULTS
        for function in re.findall(
            r"^def (test_\w+)", (HERE / f"test_{name}.py").read_text("utf-8"), re.MULTILINE
        )
    }
    assert named == there
