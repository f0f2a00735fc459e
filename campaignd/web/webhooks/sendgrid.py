"""SendGrid's Event Webhook, signed (ECDSA over the timestamp and the body as it came).

Messages carry the token in a header: X-SMTPAPI: {"unique_args": {"campaignd": "TOKEN"}}. Its
events then have it as a field. Sources: docs.sendgrid.com, "Event Webhook Reference" and "Getting
Started with the Event Webhook Security Features".
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from campaignd.errors import ConfigError
from campaignd.feedback import Event
from campaignd.web.webhooks import payload
from campaignd.web.webhooks.notice import Incoming, Notice, forged, malformed, stale

MARK: Final = "campaignd"

MAX_AGE_SECONDS: Final = 90_000.0
"""SendGrid tries for 24 hours; what is older was kept by somebody else."""

_SIGNATURE: Final = "x-twilio-email-event-webhook-signature"
_TIMESTAMP: Final = "x-twilio-email-event-webhook-timestamp"

_DROPPED: Final = {
    # reasons for which SendGrid did not even try, by what it knows of the address
    "bounced address": (Event.BOUNCED, True),
    "invalid": (Event.BOUNCED, True),
    "unsubscribed address": (Event.UNSUBSCRIBED, True),
    "spam reporting address": (Event.UNSUBSCRIBED, True),  # of an earlier message: not counted anew
}
_EVENTS: Final = {
    "spamreport": Event.COMPLAINED,
    "unsubscribe": Event.UNSUBSCRIBED,
    "group_unsubscribe": Event.UNSUBSCRIBED,
}


class SendGrid:
    """`key` is the verification key that SendGrid shows: base64 of a public key in DER."""

    def __init__(self, key: bytes) -> None:
        """Raises ConfigError."""
        try:
            public = load_der_public_key(base64.b64decode(key.strip(), validate=True))
        except (ValueError, binascii.Error):
            public = None
        if not isinstance(public, ec.EllipticCurvePublicKey):
            raise ConfigError("it is not the verification key that SendGrid shows")
        self._key = public

    async def notices(self, incoming: Incoming) -> Sequence[Notice]:
        """See Provider."""
        self._check(incoming)
        events = payload.parse(incoming.body)
        if not isinstance(events, list):
            raise malformed()
        found = (_notice(event, incoming.now) for event in payload.rows(events))
        return [notice for notice in found if notice is not None]

    def _check(self, incoming: Incoming) -> None:
        timestamp = incoming.headers.get(_TIMESTAMP, "")
        try:
            signature = base64.b64decode(incoming.headers.get(_SIGNATURE, ""), validate=True)
            signed = timestamp.encode("ascii") + incoming.body
            self._key.verify(signature, signed, ec.ECDSA(SHA256()))
        except (InvalidSignature, ValueError):
            raise forged() from None
        if not timestamp.isdecimal() or abs(incoming.now - int(timestamp)) > MAX_AGE_SECONDS:
            raise stale()


def _notice(event: dict[str, Any], now: float) -> Notice | None:
    name, reason = payload.text(event, "event"), payload.text(event, "reason")
    if name == "bounce":
        # "blocked" is a refusal that says nothing about the address.
        what, permanent = Event.BOUNCED, payload.text(event, "type") == "bounce"
    elif name == "dropped":
        what, permanent = _DROPPED.get(reason.lower(), (Event.BOUNCED, False))
    elif name in _EVENTS:
        what, permanent = _EVENTS[name], True
    else:
        return None
    return Notice(
        what,
        [payload.text(event, MARK)],
        payload.seconds(event.get("timestamp"), now),
        payload.enhanced_in(payload.text(event, "status"), reason),
        reason,
        permanent,
    )
