from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaignd.spreadsheet import cell, uncell
from campaignd.wording import duration, moment, plural, relative, stamp


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0 s"),
        (0.2, "0 s"),
        (59.6, "1 min"),
        (61, "1 min 1 s"),
        (3_600, "1 h"),
        (3_661, "1 h 1 min"),
        (86_400 + 59, "1 d"),
        (200_000, "2 d 7 h"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@given(st.floats(0, 1e8))
def test_a_duration_is_right_to_its_smaller_unit(seconds: float) -> None:
    units = {"d": 86_400, "h": 3_600, "min": 60, "s": 1}
    parts = re.findall(r"(\d+) (d|h|min|s)", duration(seconds))
    told = sum(int(count) * units[unit] for count, unit in parts)
    coarse = {"d": 3_600, "h": 60, "min": 1, "s": 1}[parts[0][1]]
    assert abs(told - seconds) <= coarse


@given(st.floats(0, 4e9))
def test_a_stamp_reads_back(at: float) -> None:
    parsed = datetime.fromisoformat(stamp(at))
    assert parsed.tzinfo == UTC
    assert abs(parsed.timestamp() - at) < 0.001


def test_moments_are_utc() -> None:
    assert moment(0) == "1970-01-01 00:00:00 UTC"
    assert relative(90, 0) == "in 1 min 30 s"
    assert relative(0, 90) == "1 min 30 s ago"


def test_plurals() -> None:
    assert plural(1, "row") == "1 row"
    assert plural(2_000, "row") == "2,000 rows"
    assert plural(0, "box", "boxes") == "0 boxes"


@pytest.mark.parametrize("text", ["=1+1", "+49", "-1", "@SUM(A1)", "\tx", "\rx"])
def test_formulas_are_defused(text: str) -> None:
    assert cell(text) == "'" + text


@given(st.text())
def test_other_cells_stay(text: str) -> None:
    assert cell(text) in (text, "'" + text)
    assert not cell(text).startswith(("=", "+", "-", "@", "\t", "\r"))


@given(st.text("'=+a", max_size=5) | st.text())
def test_a_cell_gives_its_text_back(text: str) -> None:
    assert uncell(cell(text)) == text
