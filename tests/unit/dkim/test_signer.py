"""Signatures, as dkimpy judges them. opendkim's judgement is in tests/integration/dkim."""

from __future__ import annotations

import re
from collections.abc import Sequence

import dkim
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from campaignd.dkim import Signer, SigningKey, signer
from campaignd.dkim.signer import LIFETIME, OVERSIGNED
from tests.unit.dkim.messages import CASES, SIGNED_AT, Case, content

VALUES = st.text(st.sampled_from(["a", "ü", "\U0001f33b", " ", "\t", "\n", ".", "=", "<", ":"]))


def signed(keys: Sequence[SigningKey], case: Case) -> bytes:
    """As a receiver gets it."""
    composed = case.composed()
    message = Signer(keys).sign(composed.message, composed.tail, SIGNED_AT)
    assert message.endswith(composed.message), "nothing is changed"
    return content(message + composed.tail)


def is_good(message: bytes, *keys: SigningKey, number: int = 0) -> bool:
    """Whether dkimpy takes the signature with this number."""
    records = {f"{key.name}.".encode(): key.record.encode() for key in keys}

    def dnsfunc(name: bytes, timeout: float = 0) -> bytes | None:
        return records.get(name)

    try:
        return bool(dkim.DKIM(message, minkey=2_048).verify(number, dnsfunc=dnsfunc))
    except dkim.DKIMException:
        return False


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_every_kind_of_message(rsa: SigningKey, ed25519: SigningKey, case: Case) -> None:
    message = signed([rsa, ed25519], case)
    assert is_good(message, rsa, ed25519, number=0)
    assert is_good(message, rsa, ed25519, number=1)


@settings(max_examples=60, deadline=None)
@given(st.lists(VALUES, min_size=3, max_size=3), VALUES)
def test_any_values(rsa: SigningKey, values: list[str], text: str) -> None:
    spec = {
        "subject": "{{ field0 }}",
        "reply_to": "{{ field1 }} <a@acme.example>",
        "text": text.replace("{", "") + "{{ field2 }}",
    }
    assert is_good(signed([rsa], Case(spec, values)), rsa)


@pytest.mark.parametrize("name", OVERSIGNED)
def test_no_field_can_be_added(rsa: SigningKey, name: str) -> None:
    message = signed([rsa], CASES["list headers"])
    assert is_good(message, rsa)
    added = b"%s: <https://other.example/>\r\n" % name.encode()
    assert not is_good(added + message, rsa)
    end = message.index(b"\r\n\r\n") + 2
    assert not is_good(message[:end] + added + message[end:], rsa)


PARTS = (
    b"Hello",
    b"Subject: Hi",
    b"links.",
    b"Click",
    b"spring.",
    b"acme:",
    b"bulk",
    b"x=17",
    b"Ask",
)


@pytest.mark.parametrize("part", PARTS)
def test_nothing_can_be_changed(rsa: SigningKey, part: bytes) -> None:
    message = signed([rsa], CASES["list headers"])
    assert part in message
    assert not is_good(message.replace(part, part[:-1] + b"!"), rsa)


def test_other_fields_are_free(rsa: SigningKey) -> None:
    """Relays of providers take those out that are for them."""
    message = signed([rsa], CASES["list headers"])
    assert b"X-Empty: \r\n" in message
    assert is_good(message.replace(b"X-Empty: \r\n", b""), rsa)
    assert is_good(b"Received: from a by b\r\n" + message, rsa)


def test_refolded_on_its_way(rsa: SigningKey) -> None:
    """Which relaxed canonicalisation bears."""
    message = signed([rsa], CASES["list headers"])
    again = message.replace(b"u/1>, <mailto", b"u/1>,\r\n\t <mailto")
    again = again.replace(b"Subject: Hi", b"SUBJECT:  Hi ")
    assert len(again) == len(message) + 5
    assert is_good(again, rsa)


def test_both_kinds_on_one_message(rsa: SigningKey, ed25519: SigningKey) -> None:
    message = signed([rsa, ed25519], CASES["multipart"])
    algorithms = re.findall(rb"^DKIM-Signature: v=1; a=([a-z0-9-]+)", message, re.MULTILINE)
    assert algorithms == [b"rsa-sha256", b"ed25519-sha256"]
    hashes = re.findall(rb"\tbh=([^;]+)", message)
    assert hashes[0] == hashes[1]
    assert is_good(message, rsa)
    assert not is_good(message, rsa, number=1), "its key is not published"


def test_the_field(rsa: SigningKey) -> None:
    message = signed([rsa], CASES["list headers"])
    field = message[: message.index(b"From: ")]
    assert max(map(len, field.split(b"\r\n"))) <= 78
    assert b"d=acme.example;" in field
    assert b"s=r1;" in field
    assert b"c=relaxed/relaxed;" in field
    assert b"t=%d; x=%d;" % (SIGNED_AT, SIGNED_AT + LIFETIME) in field
    assert b"l=" not in field
    [h] = re.findall(rb"\th=(.*?);", field, re.DOTALL)
    told = re.sub(rb"\s", b"", h).split(b":")
    assert told.count(b"from") == told.count(b"list-unsubscribe-post") == 2
    assert told.count(b"precedence") == told.count(b"cc") == 1
    assert b"x-empty" not in told


def test_a_body_in_common_is_hashed_once(rsa: SigningKey, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed = []
    original = signer._body_hash

    def body_hash(body: bytes, tail: bytes) -> bytes:
        hashed.append(body)
        return original(body, tail)

    monkeypatch.setattr(signer, "_body_hash", body_hash)
    one = Signer([rsa])
    messages = []
    for text, name in [("Hello", "a"), ("Hello", "b"), ("Hallo", "c"), ("Hello!", "d")]:
        composed = Case({"text": text, "subject": name}).composed()
        messages.append(one.sign(composed.message, composed.tail, SIGNED_AT))
    assert len(hashed) == 3
    assert all(is_good(content(message), rsa) for message in messages)


def test_messages_of_several_campaigns_at_a_time(rsa: SigningKey) -> None:
    """With and without a tail, by one signer."""
    one = Signer([rsa])
    for name in ("file in common", "multipart", "file in common", "plain"):
        composed = CASES[name].composed()
        assert bool(composed.tail) == (name == "file in common")
        message = one.sign(composed.message, composed.tail, SIGNED_AT)
        assert is_good(content(message + composed.tail), rsa)
