"""What counts as an email address, and the one form in which it is stored.

RFC 5321 syntax and lengths, with RFC 6531 for local parts outside ASCII and UTS #46 for
internationalised domains. Stricter than the RFCs where a broken list is likelier than a real
mailbox: a domain needs a dot and a last label that is not a number, address literals
(`user@[192.0.2.1]`) are refused, and a quoted local part may not hold a space or an angle
bracket, so that an address can stand in MAIL and RCPT as it is.
"""

from __future__ import annotations

import functools
import hashlib
import re
import unicodedata
from typing import Final, NamedTuple

import idna

from campaignd.errors import RowError

LOCAL_OCTETS: Final = 64
"""RFC 5321, 4.5.3.1.1."""
MAILBOX_OCTETS: Final = 254
"""RFC 5321, 4.5.3.1.3: 256 for the path, with its angle brackets. It leaves at most 252 for the
domain: less than the 255 of 4.5.3.1.2 and the 253 of the DNS."""

_ATEXT: Final = r"[A-Za-z0-9!#\$%\&'*+/=?\^_`\{\|\}~\-]"

PLAIN: Final = (
    rf"(?-i:\A{_ATEXT}++(?:\.{_ATEXT}++)*+"
    r"@(?:[A-Za-z0-9]++(?:-++[A-Za-z0-9]++)*+\.)++[A-Za-z]{2,}+\Z)"
)
"""Most addresses, if they have at most PLAIN_OCTETS in all, so that no part is too long, and no
`xn--`."""
PLAIN_OCTETS: Final = 64

NORMAL: Final = (
    rf"(?-i:\A{_ATEXT}++(?:\.{_ATEXT}++)*+"
    r"@(?:[a-z0-9]++(?:-[a-z0-9]++)*+\.)++[a-z]{2,}+\Z)"
)
"""Those of PLAIN that are stored as they are: the domain is in lower case and has no `--`, and so
no `xn--`. Means the same to Python, PCRE (MariaDB) and ICU (MySQL), once their `\\z` is put for
Python's `\\Z`."""

_PLAIN: Final = re.compile(PLAIN)

_DOT_ATOM: Final = re.compile(rf"{_ATEXT}+(?:\.{_ATEXT}+)*")
_QUOTED: Final = re.compile(r'"(?:[!#-;=?-\[\]-~]|\\[!-;=?-~])+"')
"""RFC 5321, 4.1.2 Quoted-string, without space and angle brackets, and not empty."""
_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
_JOINERS: Final = "\u200c\u200d"
"""ZWNJ and ZWJ: format characters that some scripts spell words with."""

_md5 = functools.partial(hashlib.md5, usedforsecurity=False)


class Address(NamedTuple):
    """A valid address as it is stored and sent."""

    mailbox: str
    """The exact local part, `@`, the domain in lower case and ASCII."""
    key: bytes
    """16 octets: MD5 of the mailbox in UTF-8. Equal keys are duplicates."""
    smtputf8: bool
    """The local part is not ASCII: delivery needs SMTPUTF8 (RFC 6531)."""


def parse_address(text: str) -> Address:
    """Checks an address; white space around it is dropped.

    Raises RowError with a reason that fits after "rejected:".
    """
    text = text.strip()
    if len(text) <= PLAIN_OCTETS and _PLAIN.match(text):
        local, _, domain = text.partition("@")
        domain = domain.lower()
        if "xn--" not in domain:
            mailbox = f"{local}@{domain}"
            return Address(mailbox, _md5(mailbox.encode()).digest(), False)
    return _parse(text)


def _parse(text: str) -> Address:
    local, at, domain = text.rpartition("@")
    if not text:
        raise RowError("no address")
    if not at:
        raise RowError("an address needs an @")
    if "<" in text or ">" in text:
        raise RowError("angle brackets: only the bare address belongs here")
    # Punycode only ever lengthens; its codec's work grows faster than its input.
    if len(text) > MAILBOX_OCTETS:
        raise RowError(f"the address is longer than {MAILBOX_OCTETS} octets")
    for character in text:
        _check_character(character)
    smtputf8 = not local.isascii()
    _check_local(local)
    domain = _domain(domain)
    mailbox = f"{local}@{domain}"
    octets = mailbox.encode("utf-8")
    if len(octets) > MAILBOX_OCTETS:
        raise RowError(f"the address is longer than {MAILBOX_OCTETS} octets")
    return Address(mailbox, _md5(octets).digest(), smtputf8)


def _check_character(character: str) -> None:
    if " " < character <= "~" or character in _JOINERS:
        return
    category = unicodedata.category(character)
    if category[0] == "Z":
        raise RowError("the address holds a space")
    if category in ("Cc", "Cf", "Cs", "Co"):
        raise RowError(f"the address holds a control character (U+{ord(character):04X})")


def _check_local(local: str) -> None:
    if not local:
        raise RowError("nothing before the @")
    if len(local.encode("utf-8", "surrogatepass")) > LOCAL_OCTETS:
        raise RowError(f"the part before the @ is longer than {LOCAL_OCTETS} octets")
    # RFC 6531, 3.3 lets any character outside ASCII stand where a letter may.
    ascii_shape = "".join(c if c.isascii() else "a" for c in local)
    if _DOT_ATOM.fullmatch(ascii_shape) or _QUOTED.fullmatch(ascii_shape):
        return
    if local.startswith('"'):
        raise RowError("the quoted part before the @ is malformed")
    if "@" in local:
        raise RowError("more than one @")
    if local.startswith(".") or local.endswith(".") or ".." in local:
        raise RowError("a dot is misplaced before the @")
    wrong = next(c for c in ascii_shape if c != "." and not re.match(_ATEXT, c))
    raise RowError(f"{wrong} is not allowed before the @")


def _domain(domain: str) -> str:
    """The domain in lower-case ASCII (A-labels)."""
    if not domain:
        raise RowError("nothing after the @")
    if domain.startswith("["):
        raise RowError("address literals are not taken: use a domain name")
    domain = domain.lower()
    if not domain.isascii() or "xn--" in domain:
        domain = _to_ascii(domain)
    labels = domain.split(".")
    if "" in labels:
        raise RowError("a dot is misplaced in the domain")
    if len(labels) == 1:
        raise RowError("the domain has no dot")
    for label in labels:
        if len(label) > 63:
            raise RowError("a part of the domain is longer than 63 octets")
        if not _LABEL.fullmatch(label):
            raise RowError("the domain is not a host name")
    if labels[-1].isdigit():
        raise RowError("the domain ends in a number")
    return domain


def _to_ascii(domain: str) -> str:
    try:
        return idna.encode(domain, uts46=True).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        raise RowError("the domain is not a valid internationalised name") from None
