"""Mailgun: a signature that covers no body."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import time
from typing import Any

import pytest

from campaignd.errors import ConfigError
from campaignd.feedback import Event
from campaignd.tokens import Purpose
from campaignd.web.webhooks import mailgun
from campaignd.web.webhooks.mailgun import MAX_AGE_SECONDS, Mailgun
from tests.unit.web.site import SOMEBODY, Site, token

KEY = b"key-0123456789abcdef0123456789abcdef"
MARK = {"campaignd": token(purpose=Purpose.RETURN)}
_numbers = itertools.count()


@pytest.fixture
def site() -> Site:
    return Site(providers={"mg": Mailgun(KEY + b"\n")})


def signature(*, key: bytes = KEY, age: float = 0, nonce: str | None = None) -> dict[str, str]:
    stamp = str(int(time.time() - age))
    nonce = nonce or f"{next(_numbers):050}"
    right = hmac.new(key, (stamp + nonce).encode(), hashlib.sha256).hexdigest()
    return {"timestamp": stamp, "token": nonce, "signature": right}


def event(name: str, **more: Any) -> dict[str, Any]:
    """In the form of Mailgun's documentation."""
    return {
        "event": name,
        "id": "G9Bn5sl1TC6nu79C8C0bwg",
        "timestamp": 1534110422.389832,
        "log-level": "error",
        "recipient": "alice@example.com",
        "user-variables": MARK,
        "message": {"headers": {"message-id": "20130503192659.13651.20287@example.com"}},
        **more,
    }


FAILED = event(
    "failed",
    severity="permanent",
    reason="bounce",
    **{
        "delivery-status": {
            "attempt-no": 1,
            "code": 550,
            "message": "5.1.1 The email account that you tried to reach does not exist.",
            "description": "",
        }
    },
)


def post(site: Site, data: Any, signed: Any = None) -> int:
    body = {"signature": signature() if signed is None else signed, "event-data": data}
    return site.notice("mg", json.dumps(body).encode())


def test_a_hard_bounce(site: Site) -> None:
    assert post(site, FAILED) == 200
    [taken] = site.memory.taken
    assert taken.recipient == SOMEBODY
    assert (taken.event, taken.permanent) == (Event.BOUNCED, True)
    assert taken.enhanced == "5.1.1"
    assert taken.at == pytest.approx(1534110422.389832)


@pytest.mark.parametrize(
    ("data", "what", "permanent"),
    [
        ({**FAILED, "reason": "suppress-bounce"}, "bounced", True),
        ({**FAILED, "reason": "generic"}, "bounced", False),
        ({**FAILED, "reason": "old"}, "bounced", False),
        ({**FAILED, "reason": "suppress-complaint"}, "unsubscribed", True),
        ({**FAILED, "reason": "suppress-unsubscribe"}, "unsubscribed", True),
        (event("complained"), "complained", True),
        (event("unsubscribed"), "unsubscribed", True),
    ],
)
def test_what_events_mean(site: Site, data: Any, what: str, permanent: bool) -> None:
    assert post(site, data) == 200
    [taken] = site.memory.taken
    assert (taken.event.value, taken.permanent) == (what, permanent)


@pytest.mark.parametrize(
    "data",
    [
        {**FAILED, "severity": "temporary"},
        event("delivered"),
        event("complained", **{"user-variables": {}}),
        event("complained", **{"user-variables": [MARK]}),
        {"event": 7},
        None,
        [],
    ],
)
def test_what_is_no_news(site: Site, data: Any) -> None:
    assert post(site, data) == 200
    assert site.memory.taken == []


@pytest.mark.parametrize(
    "signed",
    [
        {},
        [],
        {**signature(), "signature": ""},
        {**signature(), "signature": "é"},
        {**signature(), "timestamp": "1"},
        {**signature(), "timestamp": 1},
        {**signature(), "token": "other"},
        signature(key=b"another key of the right length"),
    ],
)
def test_signatures(site: Site, signed: Any) -> None:
    assert post(site, FAILED, signed) == 403
    assert site.memory.taken == []


def test_age(site: Site) -> None:
    assert post(site, FAILED, signature(age=8 * 3600)) == 200  # tried for eight hours
    assert post(site, FAILED, signature(age=MAX_AGE_SECONDS + 60)) == 403


def test_a_signature_is_good_for_one_body(site: Site) -> None:
    signed = signature()
    assert post(site, FAILED, signed) == 200
    assert post(site, FAILED, signed) == 200  # it tries again when our answer was lost
    assert post(site, event("complained"), signed) == 403
    assert {taken.event for taken in site.memory.taken} == {Event.BOUNCED}


def test_what_is_remembered_is_bounded(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailgun, "REMEMBERED", 5)
    first = signature()
    assert post(site, FAILED, first) == 200
    for _ in range(5):
        assert post(site, FAILED) == 200
    assert post(site, event("complained"), first) == 200


@pytest.mark.parametrize("body", [b"", b"x=y", b"[" * 5_000])
def test_nonsense(site: Site, body: bytes) -> None:
    assert site.notice("mg", body) == 400


def test_a_key_that_is_too_short() -> None:
    with pytest.raises(ConfigError, match="signing key"):
        Mailgun(b"short\n")
