"""Postmark's bounce, spam complaint and subscription change webhooks.

Postmark signs nothing: the URL that one gives it holds a user and a password, which it sends by
HTTP basic authentication. Messages carry the token in a header X-PM-Metadata-campaignd, which
comes back in `Metadata`. Sources: postmarkapp.com/developer, "Bounce webhook", "Spam complaint
webhook", "Subscription change webhook", "Bounce types".
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Sequence
from typing import Any, Final

from campaignd.errors import ConfigError
from campaignd.feedback import Event
from campaignd.web.webhooks import payload
from campaignd.web.webhooks.notice import Incoming, Notice, Refused

MARK: Final = "campaignd"

MIN_PASSWORD: Final = 16
"""Characters: anybody may guess as often as the network carries."""

_NOTHING: Final = frozenset(
    {"Transient", "Subscribe", "AutoResponder", "AddressChange", "OpenRelayTest",
     "ChallengeVerification"}
)  # fmt: skip
"""Types of bounce that are none: it will try again, or a person or program has answered."""

_FOR_GOOD: Final = frozenset({"HardBounce", "BadEmailAddress"})

_SUPPRESSED: Final = {
    "HardBounce": Event.BOUNCED,
    "SpamComplaint": Event.COMPLAINED,
    "ManualSuppression": Event.UNSUBSCRIBED,
}


class Postmark:
    """`secret` is USER:PASSWORD."""

    def __init__(self, secret: bytes) -> None:
        """Raises ConfigError."""
        self._secret = secret.splitlines()[0].strip()
        user, _, password = self._secret.partition(b":")
        if not user or not password:
            raise ConfigError("it must be USER:PASSWORD, as in the URL that Postmark was given")
        if len(password) < MIN_PASSWORD:
            raise ConfigError(
                f"the password must have {MIN_PASSWORD} characters or more: openssl rand -hex 16"
            )

    async def notices(self, incoming: Incoming) -> Sequence[Notice]:
        """See Provider."""
        self._check(incoming.headers.get("authorization", ""))
        notice = _notice(payload.table(payload.parse(incoming.body)), incoming.now)
        return [] if notice is None else [notice]

    def _check(self, authorization: str) -> None:
        scheme, _, credentials = authorization.partition(" ")
        try:
            given = base64.b64decode(credentials.strip(), validate=True)
        except (ValueError, binascii.Error):
            given = b""
        if scheme.lower() != "basic" or not hmac.compare_digest(given, self._secret):
            # 401: Postmark gives up on a 403, and this may be a mistake of ours.
            raise Refused("signature", 401)


def _notice(record: dict[str, Any], now: float) -> Notice | None:
    kind, details = payload.text(record, "RecordType"), payload.text(record, "Details")
    marks = [payload.text(payload.table(record.get("Metadata")), MARK)]
    at = payload.seconds(record.get("BouncedAt") or record.get("ChangedAt"), now)
    if kind == "SpamComplaint":
        return Notice(Event.COMPLAINED, marks, at, detail=details)
    if kind == "SubscriptionChange" and record.get("SuppressSending") is True:
        reason = _SUPPRESSED.get(payload.text(record, "SuppressionReason"))
        return None if reason is None else Notice(reason, marks, at)
    if kind != "Bounce":
        return None
    what = payload.text(record, "Type")
    if what in _NOTHING:
        return None
    detail = details or payload.text(record, "Description")
    if what == "SpamComplaint":
        return Notice(Event.COMPLAINED, marks, at, detail=detail)
    if what == "Unsubscribe":
        return Notice(Event.UNSUBSCRIBED, marks, at, detail=detail)
    enhanced = payload.enhanced_in(details)
    return Notice(Event.BOUNCED, marks, at, enhanced, detail, what in _FOR_GOOD)
