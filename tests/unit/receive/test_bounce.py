"""Delivery status notifications, field by field."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaignd.receive.bounce import MAX_GROUPS, Action, from_status
from campaignd.smtp.bounces import Bounce

PER_MESSAGE = "Reporting-MTA: dns; mx.example\n\n"


@pytest.mark.parametrize(
    ("group", "action", "enhanced", "permanent"),
    [
        ("Action: failed\nStatus: 5.1.1", Action.FAILED, "5.1.1", True),
        ("ACTION: Failed\nSTATUS: 5.1.1", Action.FAILED, "5.1.1", True),
        ("Action: failed (bounced)\nStatus: 5.1.1 (no)", Action.FAILED, "5.1.1", True),
        ("Action: failed\nStatus: 4.1.1", Action.FAILED, "4.1.1", False),
        (
            "Action: failed\nStatus: 4.1.1\nDiagnostic-Code: smtp; 550 5.1.1 unknown",
            Action.FAILED,
            "4.1.1",
            False,
        ),
        ("Action: failed", Action.FAILED, "", False),
        ("Action: failed\nStatus: unknown", Action.FAILED, "", False),
        ("Action: delayed\nStatus: 5.1.1", Action.DELAYED, "5.1.1", False),
        ("Action: expanded\nStatus: 2.0.0", Action.DELIVERED, "2.0.0", False),
        ("Action: fehlgeschlagen\nStatus: 5.1.1", Action.FAILED, "5.1.1", True),
        ("Status: 4.4.7", Action.DELAYED, "4.4.7", False),
        ("Status: 2.1.5", Action.DELIVERED, "2.1.5", False),
        # the words of the one that refused are better than a general status, and not than another
        (
            "Action: failed\nStatus: 5.0.0\nDiagnostic-Code: smtp; 550 5.1.1 unknown",
            Action.FAILED,
            "5.1.1",
            True,
        ),
        (
            "Action: failed\nStatus: 5.2.2\nDiagnostic-Code: smtp; 550 5.1.1 unknown",
            Action.FAILED,
            "5.2.2",
            False,
        ),
        (
            "Action: failed\nStatus: 5.0.0\nDiagnostic-Code: smtp; 250 2.1.5 fine",
            Action.FAILED,
            "5.0.0",
            False,
        ),
    ],
)
def test_one_recipient(group: str, action: Action, enhanced: str, permanent: bool) -> None:
    for text in (PER_MESSAGE + group, group, f"{PER_MESSAGE}{group}\n\n"):
        report = from_status(text)
        assert report is not None
        assert (report.action, report.enhanced, report.permanent) == (action, enhanced, permanent)


@pytest.mark.parametrize("text", ["", "\n\n", PER_MESSAGE, "Final-Recipient: rfc822; a@b.example"])
def test_reports_that_say_nothing(text: str) -> None:
    assert from_status(text) is None


def test_an_ip_address_is_no_status() -> None:
    report = from_status("Action: failed\nDiagnostic-Code: smtp; host 5.1.1.9 [4.1.2.3] said no")
    assert report is not None
    assert report.enhanced == ""
    assert report.bounce is not Bounce.ADDRESS_BAD


def test_the_worst_of_several_counts_within_the_bound() -> None:
    good, bad = "Action: delivered\nStatus: 2.0.0", "Action: failed\nStatus: 5.1.1"
    for groups in ([good, bad, good], [bad, good]):
        report = from_status("\n\n".join(groups))
        assert report is not None
        assert report.permanent
    report = from_status("\n\n".join([good] * MAX_GROUPS + [bad]))
    assert report is not None
    assert report.action is Action.DELIVERED


words = st.sampled_from(
    ["Action: ", "Status: ", "failed", "delayed", "5.1.1", "4.4.1", "550 ", "\n", "\n\n", " ", ";",
     "Diagnostic-Code: smtp; ", "Final-Recipient: ", "ü", ":"]
)  # fmt: skip


@given(st.lists(words, max_size=40).map("".join))
def test_only_a_failure_for_good_is_permanent(text: str) -> None:
    report = from_status(text)
    if report is not None and report.permanent:
        assert report.action is Action.FAILED
        assert not report.enhanced.startswith(("2", "4"))
