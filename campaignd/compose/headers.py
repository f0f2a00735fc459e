"""Header fields: values that cannot leave their line (RFC 5322, 2.2; RFC 2047; RFC 6532).

What goes in is any text; control characters and line breaks in it become single spaces. What
comes out is ASCII, without CR or LF other than in folds, and reads back as the same text.
"""

from __future__ import annotations

import re
from binascii import b2a_base64
from email.utils import formatdate
from typing import Final

from campaignd.errors import RowError

LINE: Final = 78
"""Characters of a line that RFC 5322, 2.1.1, recommends at most, without CRLF."""

LONGEST_LINE: Final = 998
"""Octets of a line that RFC 5322, 2.1.1, allows at most, without CRLF."""

MAX_VALUE_CHARACTERS: Final = 20_000
"""Of one header's value; our choice. Postfix's `header_size_limit` is 102,400 octets, and
encoded words take up to six octets for a character."""

_ENCODED_LINE: Final = 76
"""Characters of a line with encoded words at most (RFC 2047, 2)."""

_ENCODED_WORD: Final = 75
"""Characters of an encoded word at most (RFC 2047, 2)."""

_FRAME: Final = len("=?utf-8?b??=")
_UNSAFE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_QUOTED: Final = re.compile(r'(["\\])')

_PLAIN_ADDRESS: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+@[A-Za-z0-9.-]+")
_QUOTED_ADDRESS: Final = re.compile(r'"(?:[^"\\<>\s\x00-\x20\x7f]|\\[!-~])+"@[A-Za-z0-9.-]+')
_BEYOND_ASCII: Final = r"[^\x00-\xa0\s\u2028\u2029\ud800-\udfff]"
_UTF8_ADDRESS: Final = re.compile(
    rf"(?:(?:[A-Za-z0-9!#$%&'*+/=?^_`{{|}}~.-]|{_BEYOND_ASCII})+"
    rf'|"(?:[!#-;=?-\[\]-~]|{_BEYOND_ASCII}|\\(?:[!-;=?-~]|{_BEYOND_ASCII}))+")'
    r"@[A-Za-z0-9.-]+"
)


def date_header(now: float) -> bytes:
    """The value of `Date` for `now`, seconds of the epoch, in UTC (RFC 5322, 3.3)."""
    return formatdate(now).removesuffix("-0000").encode("ascii") + b"+0000"


def normal(text: str) -> str:
    """The text that a header carries: on one line, without controls and outer spaces."""
    return _UNSAFE.sub(" ", text).strip(" ")


def unstructured(text: str, name: str) -> bytes:
    """The value of the unstructured field `name` (RFC 5322, 3.6.5), folded, with encoded words
    where needed. Raises RowError when it is longer than MAX_VALUE_CHARACTERS."""
    text = text.strip(" ")
    used = len(name) + 2
    if text.isascii() and text.isprintable() and len(text) <= LINE - used and "=?" not in text:
        return text.encode("ascii")
    text = normal(text)
    if len(text) > MAX_VALUE_CHARACTERS:
        raise RowError(f"{name} is longer than {MAX_VALUE_CHARACTERS} characters")
    if text.isascii() and "=?" not in text:
        lines = _fold(text, used)
        if max(map(len, lines)) <= LONGEST_LINE - used:
            return "\r\n".join(lines).encode("ascii")
    return b"\r\n ".join(_encoded_words(text, used))


def mailbox(display: str, address: bytes, name: str) -> bytes:
    """The value of a field with one mailbox (RFC 5322, 3.4): display name and ASCII address.
    Raises RowError when the name is longer than MAX_VALUE_CHARACTERS."""
    display = normal(display)
    if not display:
        return address
    if len(display) > MAX_VALUE_CHARACTERS:
        raise RowError(f"{name} is longer than {MAX_VALUE_CHARACTERS} characters")
    used = len(name) + 2
    if display.isascii() and "=?" not in display:
        quoted = '"' + _QUOTED.sub(r"\\\1", display) + '"'
        if used + len(quoted) <= LINE:
            break_ = b" " if used + len(quoted) + len(address) + 3 <= LINE else b"\r\n "
            return quoted.encode("ascii") + break_ + b"<" + address + b">"
    words = _encoded_words(display, used)
    return b"\r\n ".join([*words, b"<" + address + b">"])


def recipient(address: str) -> tuple[bytes, bool]:
    """The address for `To`, and whether it needs SMTPUTF8. Raises RowError for what could be
    more, or other, than one address there."""
    if _PLAIN_ADDRESS.fullmatch(address) and "=?" not in address:
        return address.encode("ascii"), False
    if address.isascii() and _QUOTED_ADDRESS.fullmatch(address):
        return address.encode("ascii"), False
    if not address.isascii() and _UTF8_ADDRESS.fullmatch(address):
        return address.encode("utf-8"), True
    raise RowError("its address cannot stand in a header")


def _fold(text: str, used: int) -> list[str]:
    """Lines of at most LINE characters where spaces allow it. Each begins with the space at
    which it was folded, and none is of spaces only."""
    lines = []
    room = LINE - used
    while len(text) > room:
        first = len(text) - len(text.lstrip(" "))
        cut = text.rfind(" ", first + 1, room + 1)
        if cut < 0:
            cut = text.find(" ", max(first + 1, room + 1))
        if cut < 0:
            break
        while text[cut - 1] == " " and cut - 1 > first:
            cut -= 1
        lines.append(text[:cut])
        text = text[cut:]
        room = LINE
    lines.append(text)
    return lines


def _encoded_words(text: str, used: int) -> list[bytes]:
    """Base64 words (RFC 2047, 4.1), none of which splits a character; a reader joins them
    without the space between."""
    octets = text.encode("utf-8")
    words = []
    start = 0
    room = _ENCODED_LINE - used
    while start < len(octets):
        end = start + max((min(room, _ENCODED_WORD) - _FRAME) // 4 * 3, 4)
        while end < len(octets) and octets[end] & 0xC0 == 0x80:
            end -= 1
        words.append(b"=?utf-8?b?" + b2a_base64(octets[start:end], newline=False) + b"?=")
        start = end
        room = _ENCODED_LINE - 1
    return words
