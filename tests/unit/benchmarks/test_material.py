from __future__ import annotations

import csv
from email import message_from_bytes, policy
from itertools import islice
from pathlib import Path

import pytest

from benchmarks import material
from benchmarks.options import size as size_option


@pytest.mark.parametrize("size", [1_700, 4_096, 65_536])
def test_messages_have_the_size_that_was_asked_for(tmp_path: Path, size: int) -> None:
    made = material.make(tmp_path, size)
    assert made.mean_size == pytest.approx(size, rel=0.02)


def test_too_small(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at the least"):
        material.make(tmp_path, 500)


def test_the_smallest_size_that_the_option_takes(tmp_path: Path) -> None:
    smallest = next(iter(size_option(lambda: None).__click_params__)).type.min  # type: ignore[attr-defined]
    material.make(tmp_path, smallest)


def test_a_message_is_what_it_says(tmp_path: Path) -> None:
    made = material.make(tmp_path, 4_096)
    assert made.message.endswith(b"\r\n.\r\n")
    message = message_from_bytes(made.message.removesuffix(b".\r\n"), policy=policy.default)
    assert message["Subject"] == "Anna, your garden chair is 0 points away"
    text, html = message.iter_parts()
    assert (text.get_content_type(), html.get_content_type()) == ("text/plain", "text/html")
    assert "Dear Anna Moreau," in text.get_content()
    assert "Collect 0 points more" in html.get_content()


def test_recipients_are_all_different_and_meet_both_sides_of_the_condition() -> None:
    rows = list(islice(material.recipients(), 2_000))
    assert len({row[0] for row in rows}) == 2_000
    above = sum(int(row[-1]) >= 500 for row in rows)
    assert 900 < above < 1_100


def test_recipients_file(tmp_path: Path) -> None:
    material.write_recipients(tmp_path / "r.csv", 30)
    with (tmp_path / "r.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 30
    assert tuple(rows[0]) == ("email", *material.FIELDS)
    assert all(all(row.values()) for row in rows)
