"""The receiving side of AUTH PLAIN and AUTH LOGIN (RFC 4954, RFC 4616), without I/O."""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import NamedTuple

from campaignd.config import Secret


class Credentials(NamedTuple):
    """What a client must present."""

    username: str
    password: Secret


class Authentication:
    """One exchange. While `challenge` is not None, send it after `334` and pass the client's
    line to `answer`; then `succeeded` tells."""

    def __init__(self, credentials: Credentials, command: bytes) -> None:
        """`command` is what follows `AUTH`: the mechanism, perhaps an initial response."""
        self._credentials = credentials
        self._username: bytes | None = None
        self.succeeded = False
        self.challenge: bytes | None = None
        mechanism, _, initial = command.strip().partition(b" ")
        self._plain = mechanism.upper() == b"PLAIN"
        if not self._plain and mechanism.upper() != b"LOGIN":
            return
        if initial:
            self.answer(b"" if initial == b"=" else initial)
        else:
            self.challenge = b"" if self._plain else base64.b64encode(b"Username:")

    def answer(self, line: bytes) -> None:
        """Takes a response; `*`, or one that is not base64, ends the exchange."""
        self.challenge = None
        try:
            response = base64.b64decode(line, validate=True)
        except binascii.Error:
            return
        if self._plain:
            _identity, _, rest = response.partition(b"\0")
            username, _, password = rest.partition(b"\0")
            self._check(username, password)
        elif self._username is None:
            self._username = response
            self.challenge = base64.b64encode(b"Password:")
        else:
            self._check(self._username, response)

    def _check(self, username: bytes, password: bytes) -> None:
        right_name = hmac.compare_digest(username, self._credentials.username.encode())
        right_password = hmac.compare_digest(password, self._credentials.password.encode())
        self.succeeded = right_name and right_password
