"""Postmark: one event a request, behind a password."""

from __future__ import annotations

import json
from typing import Any

import pytest

from campaignd.errors import ConfigError
from campaignd.feedback import Event
from campaignd.tokens import Purpose
from campaignd.web.webhooks.postmark import Postmark
from tests.unit.web.site import SOMEBODY, Site, token

AUTH = {"Authorization": "Basic aG9vazozZjE5OjliNGNmOGUyYTdkMA=="}  # as SECRET
SECRET = b"hook:3f19:9b4cf8e2a7d0"
MARK = {"campaignd": token(purpose=Purpose.RETURN), "other": "value"}


@pytest.fixture
def site() -> Site:
    return Site(providers={"pm": Postmark(SECRET + b"\n")})


def bounce(kind: str, **more: Any) -> dict[str, Any]:
    """In the form of Postmark's documentation."""
    return {
        "RecordType": "Bounce",
        "MessageStream": "outbound",
        "ID": 901542550,
        "Type": kind,
        "TypeCode": 1,
        "ServerID": 23,
        "MessageID": "2706ee8a-737c-4285-b032-ccd317af53ed",
        "Metadata": MARK,
        "Description": "The server was unable to deliver your message.",
        "Details": "smtp;550 5.1.1 The email account that you tried to reach does not exist.",
        "Email": "bounce@example.com",
        "From": "sender@example.com",
        "BouncedAt": "2016-04-27T16:28:50.3963933-04:00",
        "DumpAvailable": True,
        "Inactive": True,
        "CanActivate": True,
        "Subject": "Postmark event test",
        **more,
    }


def change(reason: str | None, *, suppress: bool = True) -> dict[str, Any]:
    return {
        "RecordType": "SubscriptionChange",
        "MessageID": "a4909a96-73d7-4c49-b148-a54522d3f7ac",
        "ServerID": 23,
        "MessageStream": "outbound",
        "ChangedAt": "2022-06-05T17:17:32Z",
        "Recipient": "john@example.com",
        "Origin": "Recipient",
        "SuppressSending": suppress,
        "SuppressionReason": reason,
        "Metadata": MARK,
    }


def post(site: Site, record: Any, headers: dict[str, str] = AUTH) -> int:
    return site.notice("pm", json.dumps(record).encode(), headers)


def test_a_hard_bounce(site: Site) -> None:
    assert post(site, bounce("HardBounce")) == 200
    [taken] = site.memory.taken
    assert taken.recipient == SOMEBODY
    assert (taken.event, taken.permanent) == (Event.BOUNCED, True)
    assert taken.enhanced == "5.1.1"
    assert taken.detail.startswith("smtp;550 5.1.1")
    assert taken.at == pytest.approx(1461788930.396393)


@pytest.mark.parametrize(
    ("record", "what", "permanent"),
    [
        (bounce("BadEmailAddress"), "bounced", True),
        (bounce("SoftBounce"), "bounced", False),
        (bounce("Blocked"), "bounced", False),
        (bounce("DMARCPolicy"), "bounced", False),
        (bounce("SpamNotification"), "bounced", False),
        (bounce("Unsubscribe"), "unsubscribed", True),
        (bounce("SpamComplaint"), "complained", True),
        (bounce("SpamComplaint", RecordType="SpamComplaint"), "complained", True),
        (change("HardBounce"), "bounced", True),
        (change("SpamComplaint"), "complained", True),
        (change("ManualSuppression"), "unsubscribed", True),
    ],
)
def test_what_records_mean(site: Site, record: Any, what: str, permanent: bool) -> None:
    assert post(site, record) == 200
    [taken] = site.memory.taken
    assert (taken.event.value, taken.permanent) == (what, permanent)


@pytest.mark.parametrize(
    "record",
    [
        *(bounce(kind) for kind in ("Transient", "AutoResponder", "AddressChange", "Subscribe")),
        change(None, suppress=False),
        change("HardBounce", suppress=False),
        {**bounce("HardBounce"), "Metadata": {}},
        {**bounce("HardBounce"), "Metadata": "text"},
        {"RecordType": "Delivery", "Metadata": MARK},
        {"RecordType": "Open", "Metadata": MARK},
        {"RecordType": 5},
        {},
        [],
        None,
    ],
)
def test_what_is_no_news(site: Site, record: Any) -> None:
    assert post(site, record) == 200
    assert site.memory.taken == []


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Basic",
        "Basic !",
        "Bearer aG9vazozZjE5OjliNGNmOGUyYTdkMA==",
        "Basic aG9vazp3cm9uZw==",
        "Basic aG9vazo=",
    ],
)
def test_without_the_password(site: Site, authorization: str) -> None:
    headers = {"Authorization": authorization}
    answer = site.post("/webhooks/pm", json=bounce("HardBounce"), headers=headers)
    assert answer.status_code == 401  # Postmark gives up on 403
    assert answer.headers["www-authenticate"].startswith("Basic ")
    assert site.memory.taken == []


@pytest.mark.parametrize("secret", [b"word\n", b":word\n", b"user:\n"])
def test_what_is_no_password(secret: bytes) -> None:
    with pytest.raises(ConfigError, match="USER:PASSWORD"):
        Postmark(secret)


def test_a_password_that_can_be_guessed() -> None:
    with pytest.raises(ConfigError, match="16 characters"):
        Postmark(b"hook:" + b"x" * 15)
