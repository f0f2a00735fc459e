"""What a feedback report says (ARF: RFC 5965; its types: RFC 6650 and the registry of IANA)."""

from __future__ import annotations

from typing import Final

from campaignd.feedback import Event
from campaignd.receive.content import Fields

REPORT_TYPE: Final = "message/feedback-report"

_NO_COMPLAINT: Final = frozenset({"not-spam", "auth-failure"})
"""Taken back (RFC 6430), and about signatures (RFC 6591)."""
_LEAVING: Final = frozenset({"opt-out", "opt-out-list"})
"""Of drafts of RFC 5965, and still sent."""


def event(report: Fields) -> Event | None:
    """What to record; None for a report that blames nobody. A type that nobody knows counts as
    `other`, as RFC 5965, 3.5 asks for."""
    kind = report.get("feedback-type").lower()
    if kind in _NO_COMPLAINT:
        return None
    return Event.UNSUBSCRIBED if kind in _LEAVING else Event.COMPLAINED


def summary(report: Fields) -> str:
    """Its type and who sent it."""
    kind = report.get("feedback-type").lower() or "unknown type"
    agent = report.get("user-agent")
    return f"{kind}, {agent}" if agent else kind
