"""Amazon SES's notifications and event publishing, which come through SNS.

A message is known by its return path (`mail.source`, with [bounces] domain), else by any token of
ours in the headers that SES includes when it is told to. Sources: docs.aws.amazon.com/ses, "Amazon
SNS notification contents for Amazon SES", "Contents of event data that Amazon SES publishes".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from campaignd import events
from campaignd.feedback import Event
from campaignd.web.webhooks import payload
from campaignd.web.webhooks.notice import Incoming, Notice, Refused
from campaignd.web.webhooks.sns import Topics

_COMPLAINTS: Final = frozenset({"", "abuse", "fraud", "virus", "other"})
"""Kinds of feedback (RFC 5965, 3.1 and 7.3) that are complaints; "not-spam" is the opposite and
"auth-failure" no person's."""


class Ses:
    """`name` is what the configuration calls the webhook."""

    def __init__(self, name: str, topics: Topics) -> None:
        self._name = name
        self._topics = topics

    async def notices(self, incoming: Incoming) -> Sequence[Notice]:
        """See Provider. Confirms the subscription to a configured topic, too."""
        fields = await self._topics.verified(incoming)
        kind, topic = fields["Type"], fields["TopicArn"]
        if kind == "SubscriptionConfirmation":
            await self._topics.confirm(fields)
            events.webhook_subscription(self._name, topic, confirmed=True)
            return []
        if kind == "UnsubscribeConfirmation":
            events.webhook_subscription(self._name, topic, confirmed=False)
            return []
        try:
            message = payload.table(payload.parse(fields["Message"]))
        except Refused:
            return []  # words for people, which SES sends when a topic is set up
        notice = _notice(message, incoming.now)
        return [] if notice is None else [notice]


def _notice(message: dict[str, Any], now: float) -> Notice | None:
    kind = payload.text(message, "eventType") or payload.text(message, "notificationType")
    mail = payload.table(message.get("mail"))
    marks = [payload.text(mail, "source")]
    marks += [payload.text(header, "value") for header in payload.rows(mail.get("headers"))]
    if kind == "Bounce":
        return _bounce(payload.table(message.get("bounce")), marks, now)
    if kind == "Complaint":
        complaint = payload.table(message.get("complaint"))
        feedback = payload.text(complaint, "complaintFeedbackType")
        if feedback not in _COMPLAINTS:
            return None
        at = payload.seconds(complaint.get("timestamp"), now)
        listed = payload.text(complaint, "complaintSubType")
        if listed:
            # It did not even try, for what the recipient said about an earlier message.
            return Notice(Event.UNSUBSCRIBED, marks, at, detail=listed)
        return Notice(Event.COMPLAINED, marks, at, detail=feedback)
    return None


def _bounce(bounce: dict[str, Any], marks: Sequence[str], now: float) -> Notice:
    # A message of ours has one recipient.
    recipient = next(payload.rows(bounce.get("bouncedRecipients")), {})
    diagnosis = payload.text(recipient, "diagnosticCode")
    kind = payload.text(bounce, "bounceType")
    return Notice(
        Event.BOUNCED,
        marks,
        payload.seconds(bounce.get("timestamp"), now),
        payload.enhanced_in(payload.text(recipient, "status"), diagnosis),
        diagnosis or f"{kind} {payload.text(bounce, 'bounceSubType')}",
        kind == "Permanent",
    )
