"""Signed names of one recipient's message, for links and return paths.

A token says which recipient of which campaign, in numbers of ours, and nothing personal. It is
checked before anything is looked up for it, so a forged one costs no read. A campaign's id
belongs to one account for good, which is why the account is not in what is signed: a token stays
checkable after its campaign was purged.

Text form: 50 hexadecimal digits, as local parts of addresses lose their case on some ways.
"""

from __future__ import annotations

import binascii
import enum
import hmac
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from struct import Struct
from typing import Final, NamedTuple

from campaignd.errors import CampaigndError, ConfigError
from campaignd.keyfile import read_key_file

MAC_OCTETS: Final = 12
"""96 bits: a guess succeeds once in 2**96 tries, and each costs a request."""

MIN_KEY_OCTETS: Final = 32
"""As long as the hash (RFC 2104, 3)."""

_BODY: Final = Struct(">BHIIH")  # key, campaign (48 bits in two), shard, seq
TOKEN_DIGITS: Final = 2 * (_BODY.size + MAC_OCTETS)


class TokenError(CampaigndError):
    """What was given is not a token of ours."""


class Purpose(enum.StrEnum):
    """What a token is good for; one is never taken for another."""

    UNSUBSCRIBE = "u"
    """In links, and in the address of a mailto unsubscribe."""
    RETURN = "b"
    """In return paths (VERP), and in what a provider hands back with its notices."""


class RecipientId(NamedTuple):
    campaign: int
    shard: int
    seq: int


class TokenKeys:
    """`keys`: the first signs, all check. Rotating a key is putting the new one first, and
    leaving the old one as long as its links should work."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        """Raises ConfigError when two keys cannot be told apart by their first octet of
        SHA-256, or one is too short."""
        self._keys: dict[int, bytes] = {}
        for key in keys:
            if len(key) < MIN_KEY_OCTETS:
                raise ConfigError(
                    f"a token key has {len(key)} octets: make one with openssl rand -hex 32"
                )
            number = sha256(b"token key" + key).digest()[0]
            if number in self._keys:
                raise ConfigError("two token keys have the same number: make one of them anew")
            self._keys[number] = key
        if not self._keys:
            raise ConfigError("there is no token key")
        self._current = next(iter(self._keys))

    def signer(self, purpose: Purpose, campaign: int) -> Callable[[int, int], bytes]:
        """A function from shard and seq to the token. Called for every message."""
        number = self._current
        started = hmac.new(self._keys[number], purpose.encode(), sha256)
        high, low = campaign >> 32, campaign & 0xFFFFFFFF
        pack, hexlify = _BODY.pack, binascii.hexlify

        def sign(shard: int, seq: int) -> bytes:
            body = pack(number, high, low, shard, seq)
            mac = started.copy()
            mac.update(body)
            return hexlify(body + mac.digest()[:MAC_OCTETS])

        return sign

    def open(self, purpose: Purpose, token: str) -> RecipientId:
        """The recipient that a token names. Raises TokenError for what we did not sign for
        this purpose; in constant time as far as the key is concerned."""
        try:
            data = bytes.fromhex(token) if len(token) == TOKEN_DIGITS else b""
        except ValueError:
            data = b""
        if len(data) != _BODY.size + MAC_OCTETS or not token.isalnum():
            raise TokenError("not a token")
        body, mac = data[: _BODY.size], data[_BODY.size :]
        key = self._keys.get(body[0])
        if key is None:
            raise TokenError("signed with a key that is not in use")
        right = hmac.digest(key, purpose.encode() + body, sha256)[:MAC_OCTETS]
        if not hmac.compare_digest(mac, right):
            raise TokenError("not signed by us")
        _, high, low, shard, seq = _BODY.unpack(body)
        return RecipientId(high << 32 | low, shard, seq)


def load_token_keys(paths: Sequence[Path]) -> TokenKeys:
    """Keys from files of hexadecimal digits. Raises ConfigError, naming the file."""
    keys = []
    for path in paths:
        text = read_key_file(path)
        try:
            key = bytes.fromhex(text.decode("ascii").strip())
        except ValueError:
            raise ConfigError(
                f"key file {path}: not hexadecimal digits: make one with openssl rand -hex 32"
            ) from None
        if len(key) < MIN_KEY_OCTETS:
            raise ConfigError(
                f"key file {path}: {len(key)} octets, fewer than {MIN_KEY_OCTETS}:"
                " make one with openssl rand -hex 32"
            )
        keys.append(key)
    try:
        return TokenKeys(keys)
    except ConfigError as error:
        raise ConfigError(f"[links] key_files: {error}") from None
