"""What can be suppressed: an address, a domain, an address of which only a hash is known. Pure."""

from __future__ import annotations

import re
from typing import Final, Literal

from campaignd.audience.address import parse_address
from campaignd.errors import RowError
from campaignd.model import SuppressionReason
from campaignd.store.sql.suppressions import MOST_LABELS
from campaignd.store.suppressions import Kind, Suppression

Meaning = Literal["email", "domain", "md5", "sha256"]
"""What a text stands for."""

_MD5: Final = re.compile(r"[0-9a-f]{32}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


def parse(
    meaning: Meaning,
    text: str,
    reason: SuppressionReason,
    note: str = "",
    at: float | None = None,
) -> Suppression:
    """The entry that a text makes. Raises RowError with a reason that fits after "rejected:"."""
    if meaning == "email":
        return Suppression(Kind.ADDRESS, parse_address(text).mailbox, reason, note, at)
    text = text.strip().lower()
    if meaning == "domain":
        return _domain(text, reason, note, at)
    if meaning == "md5":
        if not _MD5.fullmatch(text):
            raise RowError("not an MD5: 32 hexadecimal digits")
        return Suppression(Kind.ADDRESS, "", reason, note, at, bytes.fromhex(text))
    if not _SHA256.fullmatch(text):
        raise RowError("not a SHA-256: 64 hexadecimal digits")
    return Suppression(Kind.SHA256, text, reason, note, at)


def shown(entry: Suppression) -> tuple[Meaning, str]:
    """What `parse` takes to make the entry again."""
    if entry.kind is Kind.DOMAIN:
        return "domain", entry.address
    if entry.kind is Kind.DOMAIN_TREE:
        return "domain", "." + entry.address
    if entry.kind is Kind.SHA256:
        return "sha256", entry.address
    return ("email", entry.address) if entry.address else ("md5", entry.md5.hex())


def _domain(text: str, reason: SuppressionReason, note: str, at: float | None) -> Suppression:
    """`example.com` is that domain alone, `.example.com` that one and all below it."""
    name = text.removeprefix("@").removeprefix(".")
    tree = text.removeprefix("@") != name
    if "@" in name:
        raise RowError("an address where a domain is wanted")
    if not name:
        raise RowError("no domain")
    try:
        domain = parse_address(f"x@{name}").mailbox.partition("@")[2]
    except RowError as error:
        raise RowError(str(error).replace("the address", "the domain")) from None
    if tree and domain.count(".") >= MOST_LABELS:
        raise RowError(f"a domain with all below it may have {MOST_LABELS} parts at most")
    return Suppression(Kind.DOMAIN_TREE if tree else Kind.DOMAIN, domain, reason, note, at)
