"""SendGrid: signed batches of events."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from campaignd.errors import ConfigError
from campaignd.feedback import Event
from campaignd.tokens import Purpose, RecipientId
from campaignd.web.webhooks.sendgrid import MAX_AGE_SECONDS, SendGrid
from tests.unit.web.site import SOMEBODY, Site, token

KEY = ec.generate_private_key(ec.SECP256R1())


def shown(key: Any) -> bytes:
    """A public key as SendGrid shows it."""
    der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(der)


def signed(body: bytes, *, key: ec.EllipticCurvePrivateKey = KEY, age: float = 0) -> dict[str, str]:
    stamp = str(int(time.time() - age))
    signature = key.sign(stamp.encode() + body, ec.ECDSA(SHA256()))
    return {
        "X-Twilio-Email-Event-Webhook-Signature": base64.b64encode(signature).decode(),
        "X-Twilio-Email-Event-Webhook-Timestamp": stamp,
    }


@pytest.fixture
def site() -> Site:
    return Site(providers={"sg": SendGrid(shown(KEY))})


def event(name: str, **more: Any) -> dict[str, Any]:
    """In the form of SendGrid's documentation."""
    return {
        "email": "recipient@example.com",
        "timestamp": 1461095250,
        "smtp-id": "<wrfRRvF7Q0GgwUo2CvDmEA@ismtpd0006p1sjc2.sendgrid.net>",
        "sg_event_id": "lC0Rc-FuQmKbnxCWxX1jRQ",
        "sg_message_id": "Lli-03HcQ5-JLybO9fXsJg.filter0077p1las1.21536.5717FC482.0",
        "event": name,
        "campaignd": token(purpose=Purpose.RETURN),
        **more,
    }


def post(site: Site, *events: Any, **options: Any) -> int:
    body = json.dumps(events).encode() + b"\r\n"  # it ends its bodies so, and signs that too
    return site.notice("sg", body, signed(body, **options))


def test_a_hard_bounce(site: Site) -> None:
    reason = "550 5.1.1 The email account that you tried to reach does not exist."
    assert post(site, event("bounce", type="bounce", status="5.1.1", reason=reason)) == 200
    [taken] = site.memory.taken
    assert taken.recipient == SOMEBODY
    assert (taken.event, taken.permanent) == (Event.BOUNCED, True)
    assert (taken.enhanced, taken.detail) == ("5.1.1", reason)
    assert (taken.at, taken.source) == (1461095250.0, "sg")


@pytest.mark.parametrize(
    ("fields", "what", "permanent"),
    [
        ({"event": "bounce", "type": "blocked", "reason": "550 5.7.1 blocked"}, "bounced", False),
        (
            {"event": "bounce", "reason": "unable to get mx info", "type": "blocked"},
            "bounced",
            False,
        ),
        ({"event": "dropped", "reason": "Bounced Address"}, "bounced", True),
        ({"event": "dropped", "reason": "Unsubscribed Address"}, "unsubscribed", True),
        ({"event": "dropped", "reason": "Spam Reporting Address"}, "unsubscribed", True),
        ({"event": "dropped", "reason": "Spam Content"}, "bounced", False),
        ({"event": "spamreport"}, "complained", True),
        ({"event": "unsubscribe"}, "unsubscribed", True),
        ({"event": "group_unsubscribe", "asm_group_id": 1}, "unsubscribed", True),
    ],
)
def test_what_events_mean(site: Site, fields: dict[str, Any], what: str, permanent: bool) -> None:
    assert post(site, event(fields["event"], **fields)) == 200
    [taken] = site.memory.taken
    assert (taken.event.value, taken.permanent) == (what, permanent)


@pytest.mark.parametrize(
    "name", ["processed", "delivered", "deferred", "open", "click", "group_resubscribe", "new"]
)
def test_what_is_no_news(site: Site, name: str) -> None:
    assert post(site, event(name)) == 200
    assert site.memory.taken == []


def test_a_batch(site: Site) -> None:
    marks = [token(RecipientId(7, 0, seq), Purpose.RETURN) for seq in range(50)]
    foreign = [event("bounce", campaignd="somebody else's"), {"event": "bounce"}, 5, None]
    assert post(site, *(event("spamreport", campaignd=mark) for mark in marks), *foreign) == 200
    assert {taken.recipient.seq for taken in site.memory.taken} == set(range(50))


def test_again_is_harmless(site: Site) -> None:
    assert [post(site, event("spamreport")) for _ in range(2)] == [200, 200]
    assert len(site.memory.known) == 1


def test_signatures(site: Site) -> None:
    body = json.dumps([event("spamreport")]).encode()
    good = signed(body)
    assert site.notice("sg", body + b" ", good) == 403
    assert site.notice("sg", body, {}) == 403
    assert site.notice("sg", body, signed(body, key=ec.generate_private_key(ec.SECP256R1()))) == 403
    stamp = "X-Twilio-Email-Event-Webhook-Timestamp"
    assert site.notice("sg", body, good | {stamp: str(int(good[stamp]) + 1)}) == 403
    assert site.notice("sg", body, good | {stamp: "now"}) == 403
    signature = "X-Twilio-Email-Event-Webhook-Signature"
    assert site.notice("sg", body, good | {signature: "é"}) == 403
    assert site.memory.taken == []
    assert site.notice("sg", body, good) == 200


def test_age(site: Site) -> None:
    assert post(site, event("spamreport"), age=86_400) == 200  # tried for a day
    assert post(site, event("spamreport"), age=MAX_AGE_SECONDS + 60) == 403
    assert post(site, event("spamreport"), age=-MAX_AGE_SECONDS - 60) == 403


@pytest.mark.parametrize("body", [b"{}", b"null", b'"x"', b"[", b""])
def test_signed_nonsense(site: Site, body: bytes) -> None:
    assert site.notice("sg", body, signed(body)) == 400


@pytest.mark.parametrize(
    "key",
    [b"", b"AAAA", b"no key", b"-----BEGIN PUBLIC KEY-----",
     shown(rsa.generate_private_key(65537, 2048))],
)  # fmt: skip
def test_what_is_no_verification_key(key: bytes) -> None:
    with pytest.raises(ConfigError, match="verification key"):
        SendGrid(key)
