"""Finds the recipient that a provider's notice is about, by a token of ours in what it returns."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import islice
from typing import Final

from campaignd.tokens import TOKEN_DIGITS, Purpose, RecipientId, TokenError, TokenKeys

MAX_TRIES: Final = 20
"""Tokens looked at in one notice; ours holds three at most."""

_TOKEN: Final = re.compile(rf"(?<![0-9A-Za-z])[0-9A-Fa-f]{{{TOKEN_DIGITS}}}(?![0-9A-Za-z])")


def recipient_in(keys: TokenKeys, texts: Iterable[str]) -> RecipientId | None:
    """The recipient of the first token that we signed, for whatever purpose; None if there is
    none: the message is somebody else's."""
    found = (match[0] for text in texts for match in _TOKEN.finditer(text))
    for token in islice(found, MAX_TRIES):
        for purpose in Purpose:
            try:
                return keys.open(purpose, token)
            except TokenError:
                continue
    return None
