"""The recipient that a notice is about."""

from __future__ import annotations

import time

from campaignd.tokens import Purpose, RecipientId, TokenKeys
from campaignd.web.webhooks.marks import MAX_TRIES, recipient_in
from tests.unit.web.site import KEYS, SOMEBODY, token

RETURN = token(purpose=Purpose.RETURN)


def test_where_tokens_are_found() -> None:
    for text in (
        RETURN,
        RETURN.upper(),
        f"b-{RETURN}@bounces.example.com",
        f"<b-{RETURN}@bounces.example.com>",
        f"<https://links.example/u/{token()}>, <mailto:u-{token()}@bounces.example>",
        f"SRS0=abcd=XY=bounces.example=b-{RETURN}@forwarder.example",
    ):
        assert recipient_in(KEYS, [text]) == SOMEBODY


def test_what_is_no_token_of_ours() -> None:
    other = TokenKeys([b"z" * 32])
    for text in ("", "b-@x", RETURN + "0", "a" + RETURN, "0" * 50, token(keys=other)):
        assert recipient_in(KEYS, [text]) is None
    assert recipient_in(KEYS, []) is None


def test_the_first_good_one_counts() -> None:
    second = token(RecipientId(8, 1, 1), Purpose.RETURN)
    assert recipient_in(KEYS, ["0" * 50, RETURN, second]) == SOMEBODY


def test_thousands_of_forged_ones_end_soon() -> None:
    assert recipient_in(KEYS, ["0" * 50] * MAX_TRIES + [RETURN]) is None
    started = time.process_time()
    assert recipient_in(KEYS, [f"{'0' * 50} " * 20_000]) is None
    assert recipient_in(KEYS, ["0" * 1_000_000]) is None
    assert time.process_time() - started < 5  # not quadratic
