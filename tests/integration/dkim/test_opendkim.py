"""Signatures, as opendkim judges them."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from campaignd.dkim import Signer, SigningKey
from tests.integration.dkim import opendkim
from tests.unit.dkim.conftest import DOMAIN
from tests.unit.dkim.messages import CASES, SIGNED_AT, content


@pytest.fixture(scope="module")
def keys() -> list[SigningKey]:
    return [
        SigningKey(generate_private_key(65_537, 2_048), domain=DOMAIN, selector="r1"),
        SigningKey(Ed25519PrivateKey.generate(), domain=DOMAIN, selector="e1"),
    ]


def test_every_kind_of_message(keys: list[SigningKey]) -> None:
    """By each kind of key alone, and by both."""
    rsa, ed25519 = keys
    messages = {}
    for name, case in CASES.items():
        composed = case.composed()
        for signing in ([rsa], [ed25519], [rsa, ed25519]):
            message = Signer(signing).sign(composed.message, composed.tail, SIGNED_AT)
            messages[name, repr(signing)] = content(message + composed.tail)
    found = opendkim.verdicts({key.name: key.record for key in keys}, list(messages.values()))
    assert dict(zip(messages, found, strict=True)) == dict.fromkeys(messages, "")


def test_it_sees_what_is_wrong(keys: list[SigningKey]) -> None:
    """So that the silence above means something, for either kind of key."""
    records = {key.name: key.record for key in keys}
    composed = CASES["list headers"].composed()
    for key in keys:
        message = content(Signer([key]).sign(composed.message, b"", SIGNED_AT))
        changed = [
            message.replace(b"Hello", b"Hallo"),
            message.replace(b"Subject: Hi", b"Subject: Ho"),
            b"List-Unsubscribe: <https://other.example/>\r\n" + message,
            message.replace(b"\tbh=", b"\tbh=A"),
        ]
        assert opendkim.verdicts(records, [message]) == [""]
        assert all(opendkim.verdicts(records, changed))
        assert all(opendkim.verdicts({}, [message])), "without its key in the DNS"
