"""The sink's policy: shares hold, rules do not overlap, text is checked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaignd.errors import UsageError
from campaignd.sandbox.policy import Fate, Rule, SinkPolicy, fingerprint


def test_a_share_meets_about_that_many_and_always_the_same() -> None:
    policy = SinkPolicy(
        rules=(Rule(Fate.REJECT, share=0.1), Rule(Fate.DEFER, share=0.2, once=True))
    )
    addresses = [f"user{number}@example.com" for number in range(10_000)]
    rules = [policy.rule_for(address) for address in addresses]
    fates = [rule and rule.fate for rule in rules]
    assert 900 < fates.count(Fate.REJECT) < 1100
    assert 1850 < fates.count(Fate.DEFER) < 2150
    assert rules == [policy.rule_for(address) for address in addresses]


@given(st.text(), st.floats(0, 1))
def test_a_share_of_all_or_none_has_no_exceptions(address: str, share: float) -> None:
    assert SinkPolicy(rules=(Rule(Fate.DROP, share=1.0),)).rule_for(address) is not None
    assert SinkPolicy(rules=(Rule(Fate.DROP, share=0.0),)).rule_for(address) is None
    both = SinkPolicy(rules=(Rule(Fate.DROP, share=share), Rule(Fate.DEFER, share=1 - share)))
    one = SinkPolicy(rules=(Rule(Fate.DROP, share=share),)).rule_for(address)
    if one is not None:
        assert both.rule_for(address) == one


def test_a_prefix_goes_before_shares() -> None:
    bad = Rule.parse(Fate.REJECT, "bad*")
    policy = SinkPolicy(rules=(Rule(Fate.DEFER, share=1.0), bad))
    assert policy.rule_for("bad.one@example.com") is bad
    assert policy.rule_for("good@example.com") == Rule(Fate.DEFER, share=1.0)


def test_the_fingerprint_never_changes() -> None:
    """Checkers and sinks of different runs must agree on it."""
    assert fingerprint("user@example.com") == 16173368552542385224


@pytest.mark.parametrize(("text", "share"), [("0.05", 0.05), ("5%", 0.05), ("1", 1.0), ("0", 0.0)])
def test_shares_are_read(text: str, share: float) -> None:
    assert Rule.parse(Fate.DEFER, text, once=True) == Rule(Fate.DEFER, share=share, once=True)


@pytest.mark.parametrize("text", ["", "*", "1.5", "-1", "nan", "150%", "some"])
def test_other_text_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(UsageError, match=r"^[^\n]+$"):
        Rule.parse(Fate.DEFER, text)


def test_shares_above_the_whole_are_refused() -> None:
    with pytest.raises(ValueError, match="more than 1"):
        SinkPolicy(rules=(Rule(Fate.DEFER, share=0.6), Rule(Fate.REJECT, share=0.6)))
