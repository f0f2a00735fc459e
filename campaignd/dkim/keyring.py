"""Which keys sign for whom: all keys of the configuration, by domain and account."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Protocol, TypeVar

from campaignd.config import Config
from campaignd.dkim.keys import RSA_SHA256, SigningKey, load_key
from campaignd.dkim.signer import Signer


class KeyRing:
    """Keys that were read once. Safe to use from several threads."""

    def __init__(self, keys: Iterable[SigningKey] = ()) -> None:
        self.keys: Final = tuple(sorted(keys, key=lambda key: key.algorithm != RSA_SHA256))
        """RSA comes first, as more verifiers know it."""

    def find(self, domain: str, account: str) -> tuple[SigningKey, ...]:
        """All keys that may sign for a From of `domain`."""
        return tuple(nearest(self.keys, domain, account))

    def signer(self, domain: str, account: str) -> Signer | None:
        """Signs for a From of `domain` with all keys that may; None where there is none. A new
        one each time: it keeps parts of the messages that it signs."""
        keys = self.find(domain, account)
        return Signer(keys) if keys else None


class Placed(Protocol):
    """A key, or the settings of one."""

    @property
    def domain(self) -> str: ...

    @property
    def account(self) -> str | None: ...


_Key = TypeVar("_Key", bound=Placed)


def nearest(keys: Sequence[_Key], domain: str, account: str | None = None) -> list[_Key]:
    """Those that sign for a From of `domain`: the keys of the nearest domain, itself or one above
    it, that has any for `account`; with None, for any account.

    They are all aligned (RFC 9989, 4.4): a domain with a key in the DNS is no public suffix.
    """
    name = domain.lower()
    while name:
        found = [
            key
            for key in keys
            if key.domain.lower() == name and (account is None or key.account in (None, account))
        ]
        if found:
            return found
        name = name.partition(".")[2]
    return []


def load_keys(config: Config) -> KeyRing:
    """Reads all keys of the configuration. Raises ConfigError for one that cannot be used."""
    return KeyRing(load_key(settings, config.beside(settings.key_file)) for settings in config.dkim)
