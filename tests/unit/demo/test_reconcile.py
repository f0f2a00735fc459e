"""The comparison that the demo's exit status stands on."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from campaignd.demo.reconcile import reconcile
from campaignd.sandbox.sinklog import Accepted


def arrived(address: str, message_id: str = "") -> Accepted:
    return Accepted(address, "s@acme.example", message_id or f"<{address}>", 1, 0.0, 1, 100)


def line(address: str, outcome: str = "accepted") -> dict[str, Any]:
    return {"address": address, "outcome": outcome}


def test_agreement() -> None:
    ledger = [line("a"), line("b", "deferred"), line("b"), line("c", "rejected")]
    found = reconcile(ledger, [arrived("a"), arrived("b")])
    assert found.exact
    assert (found.accepted, found.retried) == (2, 1)
    assert found.differences() == []


def test_lost() -> None:
    found = reconcile([line("a"), line("b")], [arrived("a")])
    assert found.lost == ["b"]
    assert found.differences() == ["1 accepted in the ledger, but never arrived, such as b"]


def test_not_recorded() -> None:
    assert reconcile([line("a", "deferred")], [arrived("a")]).unrecorded == ["a"]


def test_arrived_twice() -> None:
    assert reconcile([line("a")], [arrived("a"), arrived("a")]).doubled == ["a"]


def test_mixed_up() -> None:
    found = reconcile([line("a"), line("b")], [arrived("a", "<1>"), arrived("b", "<1>")])
    assert found.mixed_up == ["b"]


@given(
    st.sets(st.sampled_from("abcdef")),
    st.lists(st.sampled_from("abcdef")),
)
def test_exact_means_exact(ledger: set[str], took: list[str]) -> None:
    found = reconcile([line(name) for name in ledger], [arrived(name) for name in took])
    assert found.exact == (sorted(ledger) == sorted(took))
    assert bool(found.differences()) == (not found.exact)
