"""The judge itself: it sees each kind of broken promise, and nothing where there is none."""

from __future__ import annotations

from typing import Any

import pytest

from campaignd.model import Outcome
from campaignd.sandbox.sinklog import Accepted
from tests.faults.checker import Standing, Verdict, compare

ACCEPTED, DEFERRED, UNKNOWN = Outcome.ACCEPTED, Outcome.DEFERRED, Outcome.UNKNOWN
REJECTED = Outcome.REJECTED

Attempt = tuple[Outcome, bool]


def taken(address: str, times: int = 1, message_id: str = "<1@x>") -> list[Accepted]:
    return [Accepted(address, "", message_id, None, 0.0, 1, 100)] * times


def standing(**changes: Any) -> Standing:
    counts = {ACCEPTED: 1}
    return Standing("finished", 1, counts, counts, 0, 0, 0)._replace(**changes)


def judged(attempts: list[Attempt], messages: list[Accepted]) -> Verdict:
    rows: list[tuple[object, ...]] = [
        ("a@x", 0, 1, number, outcome, marked)
        for number, (outcome, marked) in enumerate(attempts, 1)
    ]
    return compare(standing(), rows or [("a@x", 0, 1, None, None, None)], messages)


@pytest.mark.parametrize(
    ("attempts", "messages"),
    [
        ([(ACCEPTED, False)], taken("a@x")),
        ([(DEFERRED, False), (ACCEPTED, False)], taken("a@x")),
        ([(UNKNOWN, False), (ACCEPTED, True)], taken("a@x")),
        ([(UNKNOWN, False), (ACCEPTED, True)], taken("a@x", 2)),
        ([(REJECTED, False)], []),
        ([(UNKNOWN, False)], taken("a@x")),
    ],
)
def test_promises_kept(attempts: list[Attempt], messages: list[Accepted]) -> None:
    assert judged(attempts, messages).problems() == []


@pytest.mark.parametrize(
    ("attempts", "messages", "problem"),
    [
        ([(ACCEPTED, False)], [], "1 lost: a@x"),
        ([], [], "1 without an outcome: a@x"),
        ([(DEFERRED, False)], [], "1 without an outcome: a@x"),
        ([(ACCEPTED, False)], taken("a@x", 2), "1 duplicates not marked: a@x"),
        ([(UNKNOWN, False), (ACCEPTED, True)], taken("a@x", 3), "1 duplicates not marked: a@x"),
        ([(REJECTED, False)], taken("a@x"), "1 taken, but not by the ledger: a@x"),
        ([(ACCEPTED, False)], taken("a@x") + taken("b@x"), "1 strange: b@x"),
        (
            [(UNKNOWN, False), (ACCEPTED, True)],
            taken("a@x") + taken("a@x", message_id="<2@x>"),
            "1 strange: a@x",
        ),
    ],
)
def test_promises_broken(attempts: list[Attempt], messages: list[Accepted], problem: str) -> None:
    assert judged(attempts, messages).problems() == [problem]


def test_keep_allows_no_duplicate_even_if_marked() -> None:
    verdict = judged([(UNKNOWN, False), (ACCEPTED, True)], taken("a@x", 2))
    assert verdict.problems() == []
    assert verdict.problems(keep=True) == ["1 duplicates under keep: a@x"]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"ledger": {ACCEPTED: 2}}, "R1: counters {'accepted': 1}, ledger {'accepted': 2}"),
        ({"marked_ledger": 1}, "marked: counter 0, ledger 1"),
        ({"total": 0}, "R1: pending is -1"),
        ({"total": 2}, "finished, with 1 pending, {'accepted': 1}"),
        ({"open_shards": 1}, "finished, with 0 pending, {'accepted': 1}"),
    ],
)
def test_the_sum(change: dict[str, Any], problem: str) -> None:
    assert standing().problems() == []
    assert problem in standing(**change).problems()
