"""The MIME structure of a campaign's messages, made once by the standard library.

What varies are holes between the pieces; the pieces are bytes. The boundary of the parts is
tried against each body that is not encoded, so it cannot stand in one.
"""

from __future__ import annotations

from email.message import EmailMessage
from email.policy import SMTP
from hashlib import blake2b
from typing import Final

from campaignd.compose.encoding import (
    BASE64,
    EIGHT_BIT,
    QUOTED_PRINTABLE,
    SEVEN_BIT,
)

ENCODINGS: Final = (SEVEN_BIT, EIGHT_BIT, QUOTED_PRINTABLE, BASE64)

_HOLE: Final = b"campaignd-hole"


def boundary(seed: bytes) -> bytes:
    """A boundary (RFC 2046, 5.1.1) from a seed. Its first two characters are in no encoded
    body: quoted-printable has no `=_`, base64 no `_`."""
    number = int.from_bytes(blake2b(seed, digest_size=16, person=b"boundary").digest(), "big")
    return b"=_%039d" % number


class Skeleton:
    """The pieces around the bodies: what stands before each, by its transfer encoding, and what
    stands after the last. The first piece continues the message's own header fields."""

    __slots__ = ("boundary", "end", "parts")

    def __init__(self, subtypes: tuple[str, ...], boundary: bytes) -> None:
        """`subtypes` of text: one makes a message of one part, more are alternatives, the
        richest last (RFC 2046, 5.1.4)."""
        self.boundary = boundary
        *pieces, self.end = _wire(subtypes, boundary).split(_HOLE + b"\r\n")
        self.parts = [_by_encoding(piece) for piece in pieces]


def _wire(subtypes: tuple[str, ...], boundary: bytes) -> bytes:
    whole = EmailMessage(policy=SMTP)
    whole["MIME-Version"] = "1.0"
    if len(subtypes) == 1:
        whole.set_content(_HOLE.decode(), subtype=subtypes[0], cte="7bit")
        return whole.as_bytes()
    whole.add_header("Content-Type", "multipart/alternative", boundary=boundary.decode())
    for subtype in subtypes:
        part = EmailMessage(policy=SMTP)
        part.set_content(_HOLE.decode(), subtype=subtype, cte="7bit")
        del part["MIME-Version"]
        whole.attach(part)
    return whole.as_bytes()


def _by_encoding(piece: bytes) -> dict[bytes, bytes]:
    field = b"Content-Transfer-Encoding: "
    return {encoding: piece.replace(field + SEVEN_BIT, field + encoding) for encoding in ENCODINGS}
