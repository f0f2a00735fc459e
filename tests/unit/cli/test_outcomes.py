"""The lines of `outcomes`."""

from __future__ import annotations

import csv
import io
import json
import re

from hypothesis import given
from hypothesis import strategies as st

from campaignd.cli.outcomes import COLUMNS, to_csv, to_jsonl
from campaignd.model import Outcome
from campaignd.spreadsheet import cell
from campaignd.store.feedback import Event, Happened
from campaignd.store.outcomes import Line

text = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30)
lines = st.lists(
    st.builds(
        Line,
        shard=st.just(0),
        seq=st.integers(1, 10_000),
        address=text,
        attempt=st.integers(1, 9),
        outcome=st.sampled_from(Outcome),
        maybe_duplicate=st.booleans(),
        code=st.integers(0, 599),
        enhanced=st.sampled_from(["", "5.1.1"]),
        at=st.floats(0, 4e9),
        host=st.just("sender-1"),
        relay=st.just("mx1"),
        response=text,
        events=st.lists(
            st.builds(
                Happened,
                event=st.sampled_from(Event),
                at=st.floats(0, 4e9),
                source=st.sampled_from(["dsn", "=arf"]),
                enhanced=st.sampled_from(["", "5.1.1"]),
                detail=text,
            ),
            max_size=3,
        ),
    )
)


@given(lines)
def test_json_lines_have_the_exact_text(given: list[Line]) -> None:
    read = [json.loads(line) for line in to_jsonl(given).splitlines()]
    assert [tuple(entry) for entry in read] == [COLUMNS] * len(given)
    assert [entry["address"] for entry in read] == [line.address for line in given]
    assert [entry["outcome"] for entry in read] == [line.outcome.label for line in given]
    assert [entry["maybe_duplicate"] for entry in read] == [line.maybe_duplicate for line in given]
    for entry, line in zip(read, given, strict=True):
        assert [
            (told["event"], told["source"], told["enhanced"], told["detail"])
            for told in entry["events"]
        ] == [(one.event, one.source, one.enhanced, one.detail) for one in line.events]
        assert all(re.fullmatch(r"[0-9T:.-]+Z", told["at"]) for told in entry["events"])


@given(lines)
def test_csv_reads_back_and_holds_no_formula(given: list[Line]) -> None:
    rows = list(csv.reader(io.StringIO(to_csv(given).decode(), newline="")))
    assert len(rows) == len(given)
    for row, line in zip(rows, given, strict=True):
        entry = dict(zip(COLUMNS, row, strict=True))
        assert entry["address"] == cell(line.address)
        assert entry["response"] == cell(line.response)
        assert entry["maybe_duplicate"] == ("true" if line.maybe_duplicate else "false")
        assert not any(value.startswith(("=", "+", "-", "@")) for value in row)
        assert bool(entry["events"]) == bool(line.events)
        assert all(f"{one.event} " in entry["events"] for one in line.events)
