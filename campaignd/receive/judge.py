"""What a message that came to one of our addresses means: the table of all cases.

In doubt it means nothing: a vacation reply that counted as a bounce would cost a subscriber.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from campaignd.feedback import Event, Feedback
from campaignd.receive import bounce, complaint
from campaignd.receive.bounce import Action, Report
from campaignd.receive.content import Content, Fields, fields
from campaignd.receive.mailbox import Mailbox, Mailboxes
from campaignd.tokens import Purpose, RecipientId

_REPLY_SUBJECT: Final = re.compile(
    r"(?:auto(?:matic)? ?-?(?:reply|response|matische antwort)|automatische antwort|auto:"
    r"|out[ -]of[ -](?:the )?office|abwesen|réponse automatique|respuesta automática"
    r"|risposta automatica|resposta automática|on (?:vacation|holiday|leave))",
    re.IGNORECASE,
)
_REPLY_FIELDS: Final = ("x-autoreply", "x-autorespond", "x-autoreply-from", "x-mail-autoreply")
_REPLY_PRECEDENCE: Final = frozenset({"auto_reply", "auto-reply"})


class Finding(NamedTuple):
    """What a message comes to."""

    kind: str
    """`bounce`, `complaint`, `unsubscribe` or `other`."""
    feedback: Feedback | None
    """What is to be recorded, if anything."""
    why_not: str = ""
    """Otherwise, in a word."""


_SOMEBODY: Final = RecipientId(0, 0, 0)
"""Until it is known whom a finding is about."""


def judge(
    content: Content, mailbox: Mailbox, boxes: Mailboxes, *, null_sender: bool, now: float
) -> Finding:
    """`null_sender` says that the message came with an empty return path, as all bounces should;
    `now` is epoch seconds."""
    if mailbox.purpose is Purpose.UNSUBSCRIBE:
        found = _unsubscribe(content, null_sender, now)
    else:
        found = _report(content, mailbox, now)
    if found.feedback is None:
        return found
    recipient = mailbox.recipient or boxes.named_in(_named(content))
    if recipient is None:
        return Finding(found.kind, None, "no-token")
    return found._replace(feedback=found.feedback._replace(recipient=recipient))


def _unsubscribe(content: Content, null_sender: bool, now: float) -> Finding:
    """Whatever a person sends there, nothing more is needed of it (RFC 2369, 3.2)."""
    submitted = _submitted(content.header)
    if null_sender or content.kind == "multipart/report" or submitted == "auto-replied":
        return Finding("other", None, "automatic")
    return Finding("unsubscribe", Feedback(Event.UNSUBSCRIBED, _SOMEBODY, now, "mail"))


def _report(content: Content, mailbox: Mailbox, now: float) -> Finding:
    """In the order of how sure each form is."""
    feedback_report = content.first(complaint.REPORT_TYPE)
    if feedback_report is not None:
        report = fields(feedback_report.text())
        event = complaint.event(report)
        if event is None:
            return Finding("complaint", None, report.get("feedback-type").lower())
        told = Feedback(event, _SOMEBODY, now, "arf", detail=complaint.summary(report))
        return Finding("complaint", told)
    status = content.first(*bounce.STATUS_TYPES)
    if status is not None:
        read = bounce.from_status(status.text()) or bounce.from_words(content)
        return _bounce(read, "dsn", now)
    if content.report_type == "disposition-notification" or _is_reply(content.header):
        return Finding("other", None, "auto-reply")
    words = bounce.from_words(content)
    if words is not None:
        return _bounce(words, "mail", now)
    if _submitted(content.header) not in ("", "no"):
        return Finding("other", None, "auto-reply")
    if mailbox.recipient is None and any(content.originals()):
        # Feedback loops without ARF return the message as it was, and say nothing.
        return Finding("complaint", Feedback(Event.COMPLAINED, _SOMEBODY, now, "mail"))
    return Finding("other", None, "unrecognised")


def _bounce(report: Report | None, source: str, now: float) -> Finding:
    if report is None:
        return Finding("bounce", None, "unrecognised")
    if report.action is not Action.FAILED:
        return Finding("bounce", None, report.action.name.lower())
    told = Feedback(
        Event.BOUNCED,
        _SOMEBODY,
        now,
        source,
        report.enhanced,
        f"{report.bounce.value}: {report.text}",
        report.permanent,
    )
    return Finding("bounce", told)


def _is_reply(header: Fields) -> bool:
    """A vacation responder's or another program's answer (RFC 3834, and what came before it)."""
    return (
        any(header.has(name) for name in _REPLY_FIELDS)
        or header.get("precedence").lower() in _REPLY_PRECEDENCE
        or _REPLY_SUBJECT.match(header.get("subject")) is not None
    )


def _submitted(header: Fields) -> str:
    """Auto-Submitted without its parameters (RFC 3834, 5)."""
    return header.get("auto-submitted").partition(";")[0].strip().lower()


def _named(content: Content) -> Iterable[str]:
    """Where a report that came to no token may have one: what it says of the message, the message
    that it returns, and the text of a bounce that returns it there."""
    for part in content.parts:
        if part.kind == complaint.REPORT_TYPE or part.kind in bounce.STATUS_TYPES:
            yield part.text()
    yield from content.originals()
    for part in content.parts:
        if part.kind == "text/plain":
            yield part.text()
