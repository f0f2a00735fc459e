"""Transfer encodings of a body (RFC 2045, 6), and what SMTP asks of lines (RFC 5321, 4.5).

A body goes in as text whose only controls are tabs and CRLF line breaks; `canonical` makes it
so. What comes out has no line over 998 octets.
"""

from __future__ import annotations

from binascii import b2a_base64, b2a_qp
from typing import Final

from campaignd.compose.headers import LONGEST_LINE
from campaignd.compose.values import clean_text

SEVEN_BIT: Final = b"7bit"
EIGHT_BIT: Final = b"8bit"
QUOTED_PRINTABLE: Final = b"quoted-printable"
BASE64: Final = b"base64"

_BASE64_LINE: Final = 76
"""Characters of a line at most (RFC 2045, 6.8)."""

_QP_LITERAL: Final = bytes([0x09, 0x0A, 0x0D, *range(0x20, 0x3D), *range(0x3E, 0x7F)])
"""Octets that quoted-printable leaves as they are (RFC 2045, 6.7), by and large."""

_QP_BEST: Final = 6
"""Quoted-printable adds two octets for each that it escapes, base64 a third in all: the first
is shorter up to one escape in six."""


def canonical(text: str, *, inexact: bool) -> str:
    """Every line break becomes CRLF; controls are dropped too if the text may have some."""
    if inexact:
        text = clean_text(text)
    return text.replace("\r\n", "\n").replace("\n", "\r\n")


def encode(text: str, *, eight_bit: bool) -> tuple[bytes, bytes]:
    """The transfer encoding and the body: 7bit if that can be, 8bit if it is allowed, else the
    shorter of quoted-printable and base64."""
    if text.isascii():
        octets = text.encode("ascii")
        if lines_fit(octets):
            return SEVEN_BIT, octets
    else:
        octets = text.encode("utf-8")
        if eight_bit and lines_fit(octets):
            return EIGHT_BIT, octets
    escapes = len(octets.translate(None, _QP_LITERAL))
    if escapes * _QP_BEST > len(octets):
        return BASE64, base64_lines(octets)
    return QUOTED_PRINTABLE, _quoted_printable(octets)


def lines_fit(octets: bytes) -> bool:
    """Whether no line has more than 998 octets. Looks at one line feed in a thousand octets: a
    line that ends within reach of the last one cannot be too long."""
    start = 0
    last = len(octets) - LONGEST_LINE
    while start < last:
        found = octets.rfind(b"\r\n", start, start + LONGEST_LINE + 2)
        if found < 0:
            return False
        start = found + 2
    return True


def for_data(message: bytes) -> bytes:
    """A whole message, header and body, as the DATA phase carries it: dots that begin a line
    are doubled, and the final dot stands at the end (RFC 5321, 4.5.2)."""
    if b"\r\n." in message:
        message = stuffed(message)
    return message + (b".\r\n" if message.endswith(b"\r\n") else b"\r\n.\r\n")


def stuffed(message: bytes) -> bytes:
    """With the dots doubled that begin a line, but the first (RFC 5321, 4.5.2)."""
    return message.replace(b"\r\n.", b"\r\n..")


def _quoted_printable(octets: bytes) -> bytes:
    encoded = b2a_qp(octets, istext=True)
    if b"\n" in octets:
        return encoded
    return encoded.replace(b"=\n", b"=\r\n")  # it breaks lines as its input does


def base64_lines(octets: bytes) -> bytes:
    """In lines of 76 characters, without a line break at the end (RFC 2045, 6.8)."""
    encoded = b2a_base64(octets, newline=False)
    lines = (encoded[at : at + _BASE64_LINE] for at in range(0, len(encoded), _BASE64_LINE))
    return b"\r\n".join(lines)
