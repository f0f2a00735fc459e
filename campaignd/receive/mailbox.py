"""The addresses that are ours, and whose message they speak of.

An address with a token is checked before any of a message is read, so a forged one costs nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from campaignd.tokens import TOKEN_DIGITS, Purpose, RecipientId, TokenError, TokenKeys

MAX_CANDIDATES: Final = 50
"""Tokens tried in one message: far more than one of ours has."""

_TOKEN: Final = re.compile(
    rf"(?<![0-9A-Za-z])(?:[bu]-)?([0-9a-f]{{{TOKEN_DIGITS}}})(?![0-9A-Za-z])", re.IGNORECASE
)


class Mailbox(NamedTuple):
    """What an address of ours takes."""

    purpose: Purpose
    """UNSUBSCRIBE, or RETURN for everything that is reported."""
    recipient: RecipientId | None
    """Whom its token names; None for a mailbox for reports, which must name somebody themselves."""


class Mailboxes:
    """`names` are the local parts that take reports without a token."""

    def __init__(self, domain: str, names: Iterable[str], keys: TokenKeys) -> None:
        self._domain = domain.lower()
        self._names = frozenset(name.lower() for name in names)
        self._keys = keys

    def find(self, address: str) -> Mailbox | None:
        """The mailbox with this address; None for one that does not exist. Raises TokenError for
        one whose token is not of our making."""
        local, _, domain = address.lower().rpartition("@")
        if domain != self._domain:
            return None
        if local in self._names:
            return Mailbox(Purpose.RETURN, None)
        kind, dash, token = local.partition("-")
        if not dash or kind not in tuple(Purpose):
            return None
        purpose = Purpose(kind)
        return Mailbox(purpose, self._keys.open(purpose, token))

    def named_in(self, texts: Iterable[str]) -> RecipientId | None:
        """The recipient that a token within these texts names: in a return path, a link or a
        header of a message of ours. Forged ones are passed over."""
        tried = 0
        for text in texts:
            for match in _TOKEN.finditer(text):
                for purpose in (Purpose.RETURN, Purpose.UNSUBSCRIBE):
                    try:
                        return self._keys.open(purpose, match[1])
                    except TokenError:
                        continue
                tried += 1
                if tried == MAX_CANDIDATES:
                    return None
        return None
