"""Mailgun's webhooks, signed (HMAC-SHA256 over a timestamp and a random token, not the body).

Messages carry the token of ours in a header X-Mailgun-Variables: {"campaignd": "TOKEN"}, which
comes back in `user-variables`. Sources: documentation.mailgun.com, "Webhooks", "Securing
webhooks", "Event structure"; help.mailgun.com, "Webhooks" (retries).
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from hashlib import sha256
from typing import Any, Final

from campaignd.errors import ConfigError
from campaignd.feedback import Event
from campaignd.web.webhooks import payload
from campaignd.web.webhooks.notice import Incoming, Notice, Refused, forged, stale

MARK: Final = "campaignd"

MAX_AGE_SECONDS: Final = 36_000.0
"""Mailgun tries for some eight hours: after 10, 10, 15 and 30 minutes, 1, 2 and 4 hours."""

REMEMBERED: Final = 10_000
"""Signatures seen, some 2 MB."""

_ADDRESS_BAD: Final = frozenset({"bounce", "suppress-bounce"})
"""Reasons of a permanent failure that are the address's; "generic" and "old" (given up after
hours of trying) are not."""

_EVENTS: Final = {"complained": Event.COMPLAINED, "unsubscribed": Event.UNSUBSCRIBED}


class Mailgun:
    """`key` is the webhook signing key."""

    def __init__(self, key: bytes) -> None:
        """Raises ConfigError."""
        self._key = key.strip()
        if len(self._key) < 16:
            raise ConfigError("it is too short for the HTTP webhook signing key of Mailgun")
        self._seen: dict[str, bytes] = {}

    async def notices(self, incoming: Incoming) -> Sequence[Notice]:
        """See Provider."""
        request = payload.table(payload.parse(incoming.body))
        self._check(payload.table(request.get("signature")), incoming)
        notice = _notice(payload.table(request.get("event-data")), incoming.now)
        return [] if notice is None else [notice]

    def _check(self, signature: dict[str, Any], incoming: Incoming) -> None:
        timestamp, token = payload.text(signature, "timestamp"), payload.text(signature, "token")
        right = hmac.new(self._key, (timestamp + token).encode(), sha256).hexdigest()
        given = payload.text(signature, "signature").encode()
        if not hmac.compare_digest(given, right.encode()):
            raise forged()
        if not timestamp.isdecimal() or abs(incoming.now - int(timestamp)) > MAX_AGE_SECONDS:
            raise stale()
        # The signature fits every body. A second one under it is not Mailgun's; the same again is
        # Mailgun trying once more, and does no harm.
        digest = sha256(incoming.body).digest()
        if self._seen.setdefault(right, digest) != digest:
            raise Refused("replayed", 403)
        if len(self._seen) > REMEMBERED:
            del self._seen[next(iter(self._seen))]


def _notice(event: dict[str, Any], now: float) -> Notice | None:
    name = payload.text(event, "event")
    variables = payload.table(event.get("user-variables"))
    marks = [payload.text(variables, MARK)]
    at = payload.seconds(event.get("timestamp"), now)
    if name in _EVENTS:
        return Notice(_EVENTS[name], marks, at)
    if name != "failed" or payload.text(event, "severity") != "permanent":
        return None  # a temporary failure is not the end: Mailgun tries again
    status = payload.table(event.get("delivery-status"))
    message = payload.text(status, "message") or payload.text(status, "description")
    reason = payload.text(event, "reason")
    enhanced = payload.enhanced_in(payload.text(status, "enhanced-code"), message)
    if reason == "suppress-unsubscribe" or reason == "suppress-complaint":
        # It did not even try, for what the recipient said about an earlier message.
        return Notice(Event.UNSUBSCRIBED, marks, at, detail=reason)
    return Notice(Event.BOUNCED, marks, at, enhanced, message or reason, reason in _ADDRESS_BAD)
