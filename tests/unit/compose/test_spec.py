from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaignd.compose import CampaignSpec, decode_spec, encode_spec
from campaignd.compose.spec import Source, ascii_address, join_mailbox, split_mailbox
from campaignd.errors import CampaignError
from campaignd.model import RetryPolicy, UnknownPolicy


def test_a_spec_survives_storage(make_spec: Callable[..., CampaignSpec]) -> None:
    spec = make_spec(
        subject="Grüße 😀 {{ x }}",
        headers={"X-A": "1"},
        unknown=UnknownPolicy.KEEP,
        retry=RetryPolicy(1.0, 2.0, 3.0, 4.0),
        sources={"subject": Source("spring.toml", 4)},
    )
    assert decode_spec(encode_spec(spec)) == spec


def test_a_later_version_may_add_keys(make_spec: Callable[..., CampaignSpec]) -> None:
    stored = msgspec.json.decode(encode_spec(make_spec())) | {"later": 1}
    assert decode_spec(msgspec.json.encode(stored)) == make_spec()


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"name": 3}'])
def test_what_cannot_be_read_is_said_so(data: bytes) -> None:
    with pytest.raises(CampaignError, match="the stored campaign cannot be read"):
        decode_spec(data)


@pytest.mark.parametrize(
    ("text", "name", "address"),
    [
        ("a@b.example", "", "a@b.example"),
        ("<a@b.example>", "", "a@b.example"),
        ("Acme <a@b.example>", "Acme", "a@b.example"),
        ('"Acme, Inc." <a@b.example>', "Acme, Inc.", "a@b.example"),
        ("{{ x < y }} <a@b.example>", "{{ x < y }}", "a@b.example"),
        (" Acme  < a@b.example > ", "Acme", "a@b.example"),
        ("Acme <a@b.example", "", "Acme <a@b.example"),
    ],
)
def test_mailboxes(text: str, name: str, address: str) -> None:
    assert split_mailbox(text) == (name, address)


@given(st.text() | st.text('"\\\\a <>'))
def test_a_joined_mailbox_is_split_into_the_same(name: str) -> None:
    assert split_mailbox(join_mailbox(name, "a@b.example")) == (name, "a@b.example")


def test_a_mailbox_has_quotes_only_if_it_needs_them() -> None:
    assert join_mailbox("", "a@b.example") == "a@b.example"
    assert join_mailbox('The "A", Inc', "a@b.example") == 'The "A", Inc <a@b.example>'
    assert join_mailbox('"A"', "a@b.example") == r'"\"A\"" <a@b.example>'


@pytest.mark.parametrize(
    ("address", "result"),
    [
        ("a.b+c@d.example", "a.b+c@d.example"),
        ("a@bücher.example", "a@xn--bcher-kva.example"),
        ("a@localhost", "a@localhost"),
        *((bad, None) for bad in ("", "a", "@b", "a@", "é@b.c", ".a@b.c", "a..b@c.d", "a b@c.d")),
        *((bad, None) for bad in ("a@b_c.d", "a@-b.c", "a@b..c", "a@b.c\n", "<a@b.c>", '"a"@b.c')),
        *((bad, None) for bad in ("a" * 65 + "@b.c", "a@" + "b" * 64 + ".c", "a@\u2028", "a@.")),
        ("a@" + ".".join(["b" * 60] * 5), None),
    ],
)
def test_our_own_addresses_are_plain_ones(address: str, result: str | None) -> None:
    assert ascii_address(address) == result
