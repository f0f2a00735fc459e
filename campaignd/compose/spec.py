"""A campaign's content as it is stored: all that a daemon needs, files included."""

from __future__ import annotations

import re
from typing import Final

import idna
import msgspec

from campaignd.errors import CampaignError
from campaignd.model import RetryPolicy, UnknownPolicy

_LOCAL: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_DOMAIN: Final = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9-]{1,63}"
)
_MAX_LOCAL: Final = 64
"""Octets (RFC 5321, 4.5.3.1.1)."""
_MAX_ADDRESS: Final = 254
"""Octets (RFC 5321, 4.5.3.1.3, without the angle brackets)."""


class Source(msgspec.Struct, frozen=True):
    """The file that a part of the campaign came from, and its first line there."""

    file: str
    line: int = 1


class CampaignSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A campaign's content and policies. `subject`, `html`, `text`, the values of `headers` and
    the display names in `sender` and `reply_to` are template sources."""

    name: str
    account: str
    sender: str
    """`Display name <address>`, or an address alone; its domain is in ASCII."""
    envelope_sender: str
    """The bare address of MAIL; its domain is in ASCII."""
    reply_to: str | None = None
    subject: str
    html: str | None = None
    text: str | None = None
    headers: dict[str, str] = {}
    unknown: UnknownPolicy = UnknownPolicy.RESEND
    retry: RetryPolicy = RetryPolicy()
    sources: dict[str, Source] = {}
    """For error messages: by `from`, `reply_to`, `subject`, `html`, `text` and `header NAME`."""


def encode_spec(spec: CampaignSpec) -> bytes:
    """JSON, in UTF-8."""
    return msgspec.json.encode(spec)


def decode_spec(data: bytes) -> CampaignSpec:
    """The inverse of `encode_spec`. Keys of a later version are ignored.

    Raises CampaignError when this version cannot read it.
    """
    try:
        return msgspec.json.decode(data, type=CampaignSpec)
    except msgspec.DecodeError as error:
        raise CampaignError(f"the stored campaign cannot be read: {error}") from None


def split_mailbox(text: str) -> tuple[str, str]:
    """Display name and address of `Name <address>`, `"Name" <address>` or `address`, without
    looking into either."""
    text = text.strip()
    if not text.endswith(">") or "<" not in text:
        return "", text
    name, _, address = text[:-1].rpartition("<")
    name = name.strip()
    if len(name) > 1 and name[0] == name[-1] == '"':
        name = name[1:-1].replace('\\"', '"')
    return name, address.strip()


def ascii_address(address: str) -> str | None:
    """An address of our own with its domain in ASCII (RFC 5890), or None if it is not one that
    every relay takes: an unquoted ASCII local part and a domain name."""
    local, _, domain = address.rpartition("@")
    try:
        if not domain.isascii():
            domain = idna.encode(domain, uts46=True).decode("ascii")
    except idna.IDNAError:
        return None
    result = f"{local}@{domain}"
    fits = len(local) <= _MAX_LOCAL and len(result) <= _MAX_ADDRESS
    return result if fits and _LOCAL.fullmatch(local) and _DOMAIN.fullmatch(domain) else None
