"""Relaxed canonicalisation (RFC 6376, 3.4.2 and 3.4.4).

For messages that `compose` made: every line ends in CRLF, and no CR or LF stands elsewhere.
Everything is done by a few passes of C over the whole, as it is done for each message.
"""

from __future__ import annotations

CRLF = b"\r\n"


def fields(head: bytes) -> dict[bytes, bytes]:
    """The values of header fields in canonical form, by name in lower case. `head` is without the
    empty line at its end. Of fields with the same name the last is told."""
    if b"\r\n " in head or b"\r\n\t" in head:
        head = head.replace(b"\r\n ", b" ").replace(b"\r\n\t", b" ")
    found = {}
    for line in _narrow(head).split(CRLF):
        name, _, value = line.partition(b":")
        found[name.lower()] = value.strip(b" ")
    return found


def lines(octets: bytes) -> bytes:
    """A part of a body in canonical form, when a line ends after it."""
    return _narrow(octets).replace(b" \r\n", CRLF).removesuffix(b" ")


def body(octets: bytes) -> bytes:
    """A body, or its end, in canonical form: without empty lines at the end."""
    octets = lines(octets).rstrip(CRLF)
    return octets + CRLF if octets else b""


def _narrow(octets: bytes) -> bytes:
    """Every run of spaces and tabs becomes one space. Each pass halves the longest run; one that
    finds nothing costs about 1 ns an octet, and returns what it was given."""
    octets = octets.replace(b"\t", b" ")
    narrow = octets.replace(b"  ", b" ")
    while len(narrow) < len(octets):
        octets, narrow = narrow, narrow.replace(b"  ", b" ")
    return narrow
