"""Every provider, given anything under a good signature: notices or nothing, never an exception."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaignd.web.webhooks import mailgun, postmark, sendgrid, ses
from campaignd.web.webhooks.notice import Notice

KNOWN = [
    "event", "type", "reason", "status", "timestamp", "severity", "user-variables", "campaignd",
    "delivery-status", "message", "description", "enhanced-code", "RecordType", "Type", "Metadata",
    "Details", "BouncedAt", "ChangedAt", "SuppressSending", "SuppressionReason", "eventType",
    "notificationType", "mail", "source", "headers", "value", "bounce", "complaint", "bounceType",
    "bouncedRecipients", "diagnosticCode", "complaintFeedbackType",
    "complaintSubType",
]  # fmt: skip
VALUES = [
    "bounce", "dropped", "failed", "permanent", "complained", "Bounce", "HardBounce", "Complaint",
    "SubscriptionChange", "SpamComplaint", "Permanent", "2016-01-27T14:59:38.237Z",
]  # fmt: skip
LEAF = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats()
    | st.text(max_size=30) | st.sampled_from(VALUES)
)  # fmt: skip
KEYS = st.sampled_from(KNOWN) | st.text(max_size=10)
JSON = st.recursive(
    LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=8)
)
EVENT = st.dictionaries(KEYS, JSON, max_size=12)


@pytest.mark.parametrize("provider", [mailgun, postmark, sendgrid, ses])
@given(event=EVENT)
def test_any_event(provider: Any, event: dict[str, Any]) -> None:
    notice = provider._notice(event, 5.0)
    if notice is None:
        return
    assert isinstance(notice, Notice)
    assert all(isinstance(mark, str) for mark in notice.marks)
    assert isinstance(notice.at, float)
    assert isinstance(notice.enhanced + notice.detail, str)
    assert isinstance(notice.permanent, bool)
