"""Which addresses exist, and which tokens a text names."""

from __future__ import annotations

import pytest

from campaignd.receive.mailbox import MAX_CANDIDATES, Mailbox
from campaignd.tokens import Purpose, TokenError, TokenKeys
from tests.unit.receive.messages import (
    ANNA,
    COMPLAINTS,
    DOMAIN,
    RETURN,
    UNSUBSCRIBE,
    boxes,
    token,
)

FORGED = token(Purpose.RETURN, signed_by=TokenKeys([b"f" * 32]))


@pytest.mark.parametrize("spelled", [str.lower, str.upper, str.title])
def test_letter_case_does_not_matter(spelled: type[str]) -> None:
    assert boxes.find(spelled(RETURN)) == Mailbox(Purpose.RETURN, ANNA)
    assert boxes.find(spelled(UNSUBSCRIBE)) == Mailbox(Purpose.UNSUBSCRIBE, ANNA)
    assert boxes.find(spelled(COMPLAINTS)) == Mailbox(Purpose.RETURN, None)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "postmaster",
        f"postmaster@{DOMAIN}",
        f"complaints@x.{DOMAIN}",
        "complaints@example.com",
        f"complaints+x@{DOMAIN}",
        RETURN.replace(DOMAIN, "example.com"),
        f"x-{token(Purpose.RETURN)}@{DOMAIN}",
        f"{token(Purpose.RETURN)}@{DOMAIN}",
    ],
)
def test_what_does_not_exist(address: str) -> None:
    assert boxes.find(address) is None


@pytest.mark.parametrize(
    "local",
    [
        f"b-{token(Purpose.UNSUBSCRIBE)}",
        f"u-{token(Purpose.RETURN)}",
        f"b-{FORGED}",
        f"b-{token(Purpose.RETURN)[:-1]}",
        f"b-{token(Purpose.RETURN)}0",
        f"b- {token(Purpose.RETURN)[1:]}",
        "b-",
        "u-" + "z" * 50,
    ],
)
def test_forged_tokens(local: str) -> None:
    with pytest.raises(TokenError):
        boxes.find(f"{local}@{DOMAIN}")


@pytest.mark.parametrize(
    "text",
    [
        f"Return-Path: <{RETURN}>",
        f"Original-Mail-From: {RETURN.upper()}",
        f"List-Unsubscribe: <https://links.example.com/u/{token(Purpose.UNSUBSCRIBE)}>",
        f"X-Token: {token(Purpose.RETURN)}",
        f"X: {FORGED} {token(Purpose.RETURN)}",
    ],
)
def test_tokens_are_found_in_texts(text: str) -> None:
    assert boxes.named_in([text]) == ANNA
    assert boxes.named_in(["", "nothing", text]) == ANNA


@pytest.mark.parametrize(
    "text",
    [
        f"<b-{FORGED}@{DOMAIN}>",
        f"0{token(Purpose.RETURN)}",
        f"{token(Purpose.RETURN)}0",
        token(Purpose.RETURN)[:-1],
        "",
    ],
)
def test_what_only_looks_like_a_token(text: str) -> None:
    assert boxes.named_in([text]) is None


def test_the_search_ends() -> None:
    many = f"{FORGED} " * MAX_CANDIDATES
    assert boxes.named_in([many[: -len(FORGED) - 1], RETURN]) == ANNA
    assert boxes.named_in([many, RETURN]) is None
