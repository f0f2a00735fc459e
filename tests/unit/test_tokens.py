from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaignd.errors import ConfigError
from campaignd.tokens import (
    TOKEN_DIGITS,
    Purpose,
    RecipientId,
    TokenError,
    TokenKeys,
    load_token_keys,
)

OLD, NEW = b"old" * 12, b"new" * 12
KEYS = TokenKeys([NEW, OLD])

PURPOSES = st.sampled_from(Purpose)
IDS = st.tuples(st.integers(0, 2**48 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**16 - 1))


def made(keys: TokenKeys, purpose: Purpose, campaign: int, shard: int, seq: int) -> str:
    return keys.signer(purpose, campaign)(shard, seq).decode("ascii")


@given(PURPOSES, IDS)
def test_a_token_opens_to_what_it_was_made_of(
    purpose: Purpose, named: tuple[int, int, int]
) -> None:
    token = made(KEYS, purpose, *named)
    assert len(token) == TOKEN_DIGITS
    assert KEYS.open(purpose, token) == RecipientId(*named)
    assert KEYS.open(purpose, token.upper()) == RecipientId(*named), "mail may lose the case"


@given(IDS)
def test_one_purpose_is_never_taken_for_another(named: tuple[int, int, int]) -> None:
    with pytest.raises(TokenError, match="not signed by us"):
        KEYS.open(Purpose.UNSUBSCRIBE, made(KEYS, Purpose.RETURN, *named))


@given(PURPOSES, IDS, st.integers(0, TOKEN_DIGITS - 1), st.sampled_from("0123456789abcdef"))
def test_no_digit_can_be_changed(
    purpose: Purpose, named: tuple[int, int, int], at: int, digit: str
) -> None:
    token = made(KEYS, purpose, *named)
    forged = token[:at] + digit + token[at + 1 :]
    if forged == token:
        return
    with pytest.raises(TokenError):
        KEYS.open(purpose, forged)


@pytest.mark.parametrize(
    "text",
    [
        *("", "0" * TOKEN_DIGITS, "g" * TOKEN_DIGITS, " " + "0" * (TOKEN_DIGITS - 1)),
        *(
            "0 " * (TOKEN_DIGITS // 2),
            "\u0660" * TOKEN_DIGITS,
            "0" * (TOKEN_DIGITS + 2),
            "0" * 9_999,
        ),
    ],
)
def test_what_is_no_token(text: str) -> None:
    with pytest.raises(TokenError):
        KEYS.open(Purpose.UNSUBSCRIBE, text)


@given(st.text(max_size=60))
def test_no_text_is_a_token(text: str) -> None:
    with pytest.raises(TokenError):
        KEYS.open(Purpose.UNSUBSCRIBE, text)


def test_keys_rotate() -> None:
    before = made(TokenKeys([OLD]), Purpose.UNSUBSCRIBE, 1, 2, 3)
    assert KEYS.open(Purpose.UNSUBSCRIBE, before) == (1, 2, 3)
    assert made(KEYS, Purpose.UNSUBSCRIBE, 1, 2, 3) == made(
        TokenKeys([NEW]), Purpose.UNSUBSCRIBE, 1, 2, 3
    )
    with pytest.raises(TokenError, match="signed with a key that is not in use"):
        TokenKeys([NEW]).open(Purpose.UNSUBSCRIBE, before)


def test_another_key_of_the_same_number_does_not_open_it() -> None:
    token = made(TokenKeys([NEW]), Purpose.UNSUBSCRIBE, 1, 2, 3)
    for number in range(10_000):
        other = TokenKeys([b"%032d" % number])
        try:
            other.open(Purpose.UNSUBSCRIBE, token)
        except TokenError as error:
            if "not in use" not in str(error):
                assert str(error) == "not signed by us"
                return
    raise AssertionError("no key has its number")


def test_nothing_personal_is_in_a_token() -> None:
    assert bytes.fromhex(made(KEYS, Purpose.RETURN, 7, 3, 10_000))[1:13] == (
        bytes([0, 0, 0, 0, 0, 7, 0, 0, 0, 3]) + (10_000).to_bytes(2, "big")
    )


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ([], "there is no token key"),
        ([b"x" * 31], "a token key has 31 octets: make one with openssl rand -hex 32"),
        ([NEW, NEW], "two token keys have the same number: make one of them anew"),
    ],
)
def test_keys_that_cannot_be_used(keys: list[bytes], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        TokenKeys(keys)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("zz" * 32, "not hexadecimal digits"),
        ("abc", "not hexadecimal digits"),
        ("é" * 64, "not hexadecimal digits"),
        ("ab" * 31, "31 octets, fewer than 32"),
    ],
)
def test_a_file_that_has_no_key(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "links.key"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(ConfigError) as caught:
        load_token_keys([path])
    assert str(caught.value).startswith(f"key file {path}: {says}")
    assert text not in str(caught.value), "a key is never shown"


def test_keys_from_files(tmp_path: Path) -> None:
    paths = []
    for name, key in (("new", NEW), ("old", OLD)):
        paths.append(tmp_path / name)
        paths[-1].write_text(key.hex() + "\n")
        paths[-1].chmod(0o400)
    keys = load_token_keys(paths)
    assert made(keys, Purpose.RETURN, 1, 2, 3) == made(KEYS, Purpose.RETURN, 1, 2, 3)
    assert keys.open(Purpose.RETURN, made(TokenKeys([OLD]), Purpose.RETURN, 1, 2, 3)) == (1, 2, 3)
    with pytest.raises(ConfigError, match=r"\[links\] key_files: two token keys"):
        load_token_keys([paths[0], paths[0]])
