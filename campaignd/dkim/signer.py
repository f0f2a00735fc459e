"""Signs messages: the DKIM-Signature field (RFC 6376, 3.5) of each of a domain's keys.

It never changes anything of a message but what it puts before it.
"""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256
from typing import Final

from campaignd.dkim import canonical
from campaignd.dkim.keys import SigningKey

OVERSIGNED: Final = (
    "From", "Reply-To", "Subject", "Date", "To", "Cc", "Message-ID",
    "MIME-Version", "Content-Type", "Content-Transfer-Encoding",
    "List-Unsubscribe", "List-Unsubscribe-Post", "List-Id", "Feedback-ID",
)  # fmt: skip
"""Signed once more than they are there, so that nobody can add one (RFC 6376, 5.4.2 and 8.15).
RFC 8058, 4, wants both List-Unsubscribe fields covered."""

SIGNED: Final = (
    "Sender", "In-Reply-To", "References", "Auto-Submitted", "Precedence",
    "List-Help", "List-Subscribe", "List-Post", "List-Owner", "List-Archive",
)  # fmt: skip
"""Signed if they are there (RFC 6376, 5.4.1). Other fields are not: relays of providers take out
those that are meant for them, which would break the signature."""

LIFETIME: Final = 7 * 86_400
"""Seconds after which a signature expires: longer than any relay keeps a message that it cannot
deliver, four to five days (RFC 5321, 4.5.4.1), and a bound for those who send it again to others
(RFC 6376, 8.6)."""

_LINE: Final = 72
"""Characters of a line with base64: below the 78 of RFC 5322, 2.1.1."""


class Signer:
    """Signs a campaign's messages with all of `keys`. Safe to use from several threads at once.

    It keeps the last body, and the campaign's tail in canonical form: each campaign has its own,
    which ends with it.
    """

    def __init__(self, keys: Sequence[SigningKey]) -> None:
        self._keys = [(key.sign, _start(key)) for key in keys]
        self._known = (b"", b"", b"")
        self._tail = (b"", b"")

    def sign(self, message: bytes, tail: bytes, now: int) -> bytes:
        """`message` with a signature for each key before it. `now` is in seconds of the epoch.

        `message` and `tail` are the two pieces that `compose` makes: dot-stuffed, with the final
        dot at the end of the whole. A tail begins with a line break. No field of OVERSIGNED or
        SIGNED may be there twice.
        """
        end = message.index(b"\r\n\r\n")
        values = canonical.fields(message[:end])
        names, form, told = _layout(tuple(values))
        signed = form % tuple([values[name] for name in names])
        body_hash = self._hash_of_body(message, end + 2, tail)
        rest = b"t=%d; x=%d;%bbh=%b;\r\n\tb=" % (now, now + LIFETIME, told, body_hash)
        made: list[bytes] = []
        for sign, start in self._keys:
            field = start + rest
            made += (field, _folded(sign(signed + _canonical(field))))
        made.append(message)
        return b"".join(made)

    def _hash_of_body(self, message: bytes, start: int, tail: bytes) -> bytes:
        """`start` is that of the empty line. A body that is the same for everybody, as the last
        one tells, is hashed once."""
        body, its_tail, known = self._known
        if tail is its_tail and len(message) - start == len(body) and message.endswith(body):
            return known
        body = message[start:]
        known = _body_hash(body, self._canonical_tail(tail) if tail else None)
        self._known = (body, tail, known)
        return known

    def _canonical_tail(self, tail: bytes) -> bytes:
        """Made once, as all messages of a campaign share the tail, which may be large."""
        its_tail, known = self._tail
        if tail is not its_tail:
            known = canonical.body(_content(tail))
            self._tail = (tail, known)
        return known


_ALL: Final = tuple(name.lower().encode() for name in OVERSIGNED + SIGNED)
_OVERSIGNED: Final = frozenset(name.lower().encode() for name in OVERSIGNED)


def _start(key: SigningKey) -> bytes:
    text = (
        f"DKIM-Signature: v=1; a={key.algorithm}; c=relaxed/relaxed;\r\n"
        f"\td={key.domain};\r\n\ts={key.selector};\r\n\t"
    )
    return text.encode("ascii")


@lru_cache(maxsize=256)
def _layout(present: tuple[bytes, ...]) -> tuple[list[bytes], bytes, bytes]:
    """For a message with the fields `present`: those to sign, the form of what is signed with a
    hole for the value of each, and the tag `h`, on lines of its own, that tells them. Cached, as
    all messages of a campaign have the same."""
    names = [name for name in _ALL if name in present]
    form = b"".join(name + b":%b\r\n" for name in names)
    told = names + [name for name in _ALL if name in _OVERSIGNED]
    lines = [b"h="]
    for name in told:
        if len(lines[-1]) + len(name) > _LINE:
            lines.append(b"")
        lines[-1] += name + b":"
    return names, form, b"\r\n\t" + b"\r\n\t".join(lines).removesuffix(b":") + b";\r\n\t"


def _canonical(field: bytes) -> bytes:
    """Of a signature field that ends before the value of `b` (RFC 6376, 3.7)."""
    return b"dkim-signature:" + field[len(b"DKIM-Signature: ") :].replace(b"\r\n\t", b" ")


def _body_hash(body: bytes, tail: bytes | None) -> bytes:
    """In base64. `body` begins with the empty line; `tail` is in canonical form."""
    if tail is None:
        octets = canonical.body(_content(body)[2:])
        return b2a_base64(sha256(octets).digest(), newline=False)
    hashed = sha256(canonical.lines(_content(body)[2:]))
    hashed.update(tail)
    return b2a_base64(hashed.digest(), newline=False)


def _content(wire: bytes) -> bytes:
    """What DATA carries, as it was before (RFC 5321, 4.5.2)."""
    octets = wire.removesuffix(b".\r\n") if wire.endswith(b"\r\n.\r\n") else wire
    return octets.replace(b"\r\n..", b"\r\n.")


def _folded(signature: bytes) -> bytes:
    """In base64, with the end of the field."""
    base64 = b2a_base64(signature, newline=False)
    lines = [base64[at : at + _LINE] for at in range(0, len(base64), _LINE)]
    return b"\r\n\t".join(lines) + b"\r\n"
