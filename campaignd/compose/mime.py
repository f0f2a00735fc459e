"""The MIME structure of a campaign's messages, made once by the standard library.

What varies are holes between the pieces; the pieces are bytes. The boundaries of the parts have
their stem in common, which is tried against each body that is not encoded, so that none can stand
in one. Files are encoded once: they are in `tail`, which all messages share.
"""

from __future__ import annotations

from collections.abc import Sequence
from email.message import EmailMessage
from email.policy import SMTP
from hashlib import blake2b
from secrets import token_hex
from typing import Final

from campaignd.compose.encoding import (
    BASE64,
    EIGHT_BIT,
    QUOTED_PRINTABLE,
    SEVEN_BIT,
    base64_lines,
)
from campaignd.compose.spec import Attached

ENCODINGS: Final = (SEVEN_BIT, EIGHT_BIT, QUOTED_PRINTABLE, BASE64)

_HOLE: Final = token_hex(16).encode()
"""By chance, so that nothing that a campaign says can be taken for one."""


def boundary(seed: bytes) -> bytes:
    """The stem of boundaries (RFC 2046, 5.1.1) from a seed. Its first two characters are in no
    encoded body: quoted-printable has no `=_`, base64 no `_`."""
    number = int.from_bytes(blake2b(seed, digest_size=16, person=b"boundary").digest(), "big")
    return b"=_%039d" % number


class Skeleton:
    """The pieces around the bodies: what stands before each, by its transfer encoding, and what
    stands after the last. The first piece continues the message's own header fields.

    `mixed(alternative(plain, related(html, inline...)), attachments...)`, without the levels that
    would have one part only.
    """

    __slots__ = ("bare_tail", "boundary", "parts", "tail")

    def __init__(
        self,
        subtypes: tuple[str, ...],
        boundary: bytes,
        *,
        inline: Sequence[Attached] = (),
        attachments: Sequence[Attached] = (),
    ) -> None:
        """`subtypes` of text, the richest last (RFC 2046, 5.1.4). `inline` images belong to the
        last of them."""
        self.boundary = boundary
        whole = _body(subtypes, inline, boundary.decode())
        if attachments:
            files = [_file(attached, "attachment") for attached in attachments]
            whole = _multipart("mixed", boundary.decode() + "m", [whole, *files])
        whole["MIME-Version"] = "1.0"
        pieces = whole.as_bytes(policy=SMTP).split(_HOLE + b"\r\n")
        bodies, rest = pieces[: len(subtypes)], pieces[len(subtypes) :]
        self.parts = [_by_encoding(piece) for piece in bodies]
        files_data = (base64_lines(attached.data) for attached in (*inline, *attachments))
        tail = [rest[0]]
        for data, piece in zip(files_data, rest[1:], strict=True):
            tail += [data, b"\r\n", piece]
        self.tail = b"".join(tail)
        """Ends the last part and the message."""
        self.bare_tail = b"".join(rest)
        """The same with empty files."""


def _body(subtypes: tuple[str, ...], inline: Sequence[Attached], stem: str) -> EmailMessage:
    parts = []
    for subtype in subtypes:
        part = EmailMessage(policy=SMTP)
        part.set_content(_HOLE.decode(), subtype=subtype, cte="7bit")
        del part["MIME-Version"]
        parts.append(part)
    if inline:
        images = [_file(attached, "inline") for attached in inline]
        related = _multipart("related", stem + "r", [parts.pop(), *images], type="text/html")
        parts.append(related)
    return parts[0] if len(parts) == 1 else _multipart("alternative", stem + "a", parts)


def _multipart(
    subtype: str, boundary: str, parts: Sequence[EmailMessage], **parameters: str
) -> EmailMessage:
    whole = EmailMessage(policy=SMTP)
    whole.add_header("Content-Type", f"multipart/{subtype}", **parameters, boundary=boundary)
    for part in parts:
        whole.attach(part)
    return whole


def _file(attached: Attached, disposition: str) -> EmailMessage:
    """A part with a hole for its content."""
    part = EmailMessage(policy=SMTP)
    part["Content-Type"] = attached.type
    part["Content-Transfer-Encoding"] = "base64"
    part.add_header("Content-Disposition", disposition, filename=attached.name)
    if attached.cid:
        part["Content-ID"] = f"<{attached.cid}>"
    part.set_payload(_HOLE.decode() + "\n")
    return part


def _by_encoding(piece: bytes) -> dict[bytes, bytes]:
    """A piece whose last Content-Transfer-Encoding is that of the body after it."""
    field = b"Content-Transfer-Encoding: "
    before, _, after = piece.rpartition(field + SEVEN_BIT)
    return {encoding: before + field + encoding + after for encoding in ENCODINGS}
