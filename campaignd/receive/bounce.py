"""What a bounce says: delivery status notifications (RFC 3464), and those of older software.

Whom it speaks of is not asked here: the address that it came to, or the message that it returns,
has a token that knows it better than what a receiver writes.
"""

from __future__ import annotations

import enum
import re
from typing import Final, NamedTuple

from campaignd.receive.content import Content, Fields, fields
from campaignd.smtp.bounces import Bounce, classify

MAX_GROUPS: Final = 20
"""Of a report: ours are sent to one recipient, of whom an alias may have made a few."""

STATUS_TYPES: Final = ("message/delivery-status", "message/global-delivery-status")

_BEFORE: Final = 200
_AFTER: Final = 300
"""Characters around a code that belong to it, in a text for people."""

_GROUP_END: Final = re.compile(r"\n[ \t]*\n")
_ENHANCED: Final = re.compile(r"(?<![0-9.])([245]\.[0-7]\.[0-9]{1,3})(?![0-9.])")
_CODE: Final = re.compile(r"(?<![0-9.])([45][0-5][0-9])(?=[ :-])")
_TYPE: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]* ?; ?")
_FAILURE: Final = re.compile(
    r"undeliver|delivery (?:status|fail|report|error|problem)|failure notice|non.?delivery"
    r"|returned mail|returned to sender|mail (?:delivery|system error)|could not be delivered"
    r"|unzustellbar|nicht zugestellt|échec|non remis|no entregad|mancato recapito|não entregue"
    r"|не доставлено|недоставлен|配信不能|退信",
    re.IGNORECASE,
)
_DELAY: Final = re.compile(r"delayed|still trying|still being retried|verzögert", re.IGNORECASE)
_SENDER: Final = re.compile(r"mailer-daemon|postmaster|microsoftexchange", re.IGNORECASE)
_COPY: Final = re.compile(
    r"^-{2,} ?(?:below this line is|this is a copy|original message|included is a copy"
    r"|the body of the message|returned message|copy of the message|unsent message below)",
    re.IGNORECASE | re.MULTILINE,
)


class Action(enum.IntEnum):
    """What became of a message (RFC 3464, 2.3.3); of several, the least counts."""

    FAILED = 1
    DELAYED = 2
    DELIVERED = 3
    """Or relayed, or expanded: as far as anybody knows it went well."""


_ACTIONS: Final = {
    "failed": Action.FAILED,
    "delayed": Action.DELAYED,
    "delivered": Action.DELIVERED,
    "relayed": Action.DELIVERED,
    "expanded": Action.DELIVERED,
}
_BY_CLASS: Final = {"5": Action.FAILED, "4": Action.DELAYED, "2": Action.DELIVERED}


class Report(NamedTuple):
    """What a notice says of one recipient."""

    action: Action
    bounce: Bounce
    """Of a failure."""
    enhanced: str
    """The enhanced status code (RFC 3463); may be empty."""
    text: str
    """The receiver's words, on one line."""

    @property
    def permanent(self) -> bool:
        """Whether it says that there is no such address."""
        failed = self.action is Action.FAILED and not self.enhanced.startswith("4")
        return failed and self.bounce is Bounce.ADDRESS_BAD


def from_status(text: str) -> Report | None:
    """What a body of type message/delivery-status says; the worst, if it has several recipients.
    None if it speaks of no recipient."""
    groups = _GROUP_END.split(text.strip("\n"), MAX_GROUPS)[:MAX_GROUPS]
    reports = [report for group in groups if (report := _of_group(fields(group))) is not None]
    return min(reports, key=lambda report: report.action, default=None)


def from_words(content: Content) -> Report | None:
    """What a bounce without a delivery status says: qmail's, old Exim's and others'. None if it
    is no bounce, as far as one can tell."""
    subject = content.header.get("subject")
    listed = content.header.has("x-failed-recipients")  # Exim
    titled = listed or _FAILURE.search(subject) is not None
    if not titled and not _SENDER.search(content.header.get("from")):
        return None
    part = content.first("text/plain", "text/html")
    text = part.text() if part is not None else ""
    copy = _COPY.search(text)
    if copy is not None:
        text = text[: copy.start()]  # what follows are our own words
    text = " ".join(text.split())
    if not listed and _DELAY.search(subject):
        return Report(Action.DELAYED, Bounce.UNCLASSIFIED, "", "")
    code = _CODE.search(text) or _ENHANCED.search(text)
    if code is None:
        return _failure("", text[: _BEFORE + _AFTER]) if titled else None
    end = code.start() + _AFTER
    found = _failure("", text[max(0, code.start() - _BEFORE) : end])
    return found._replace(text=text[code.start() : end])


def _of_group(group: Fields) -> Report | None:
    """None for the group about the message as a whole (RFC 3464, 2.2)."""
    status = _ENHANCED.search(group.get("status"))
    enhanced = status[1] if status is not None else ""
    action = _ACTIONS.get(group.get("action").split(" ")[0].lower()) or _BY_CLASS.get(enhanced[:1])
    if action is None:
        return None
    if action is not Action.FAILED:
        return Report(action, Bounce.UNCLASSIFIED, enhanced, "")
    diagnostic = group.get("diagnostic-code")
    kind = _TYPE.match(diagnostic)
    return _failure(enhanced, diagnostic[kind.end() :] if kind is not None else diagnostic)


def _failure(enhanced: str, text: str) -> Report:
    """`enhanced` is what the reporting server says, which may know less than `text`, the words of
    the one that refused: then it says so with zeros (RFC 3463, 3.1)."""
    told = _ENHANCED.search(text)
    if told is not None and told[1][0] != "2" and (not enhanced or enhanced.endswith(".0.0")):
        enhanced = told[1]
    code = _CODE.search(text)
    bounce = classify(int(code[1]) if code is not None else 0, enhanced or "5.0.0", text)
    return Report(Action.FAILED, bounce, enhanced, text)
