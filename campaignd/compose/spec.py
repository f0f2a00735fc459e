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

MAX_SPEC_OCTETS: Final = 15_000_000
"""Of a stored campaign. Its statement must fit into the 16 MiB that MariaDB takes for one by
default (max_allowed_packet), quotes escaped."""


class Source(msgspec.Struct, frozen=True):
    """The file that a part of the campaign came from, and its first line there."""

    file: str
    line: int = 1


class Attached(msgspec.Struct, frozen=True):
    """A file that every message carries."""

    name: str
    type: str
    """`type/subtype`, and perhaps parameters (RFC 2045, 5.1)."""
    data: bytes
    cid: str = ""
    """What the HTML calls it (RFC 2392), of an inline image."""


class CampaignSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A campaign's content and policies. `subject`, `html`, `text`, `preheader`,
    the values of `headers`, `to_name` and the display names in `sender` and `reply_to` are template
    sources."""

    name: str
    account: str
    sender: str
    """`Display name <address>`, or an address alone; its domain is in ASCII."""
    envelope_sender: str | None = None
    """The bare address of MAIL, its domain in ASCII. None: a return path of its own for each
    message if the configuration has a domain for that, else the address of `sender`."""
    reply_to: str | None = None
    to_name: str | None = None
    """The recipients' display name."""
    subject: str
    html: str | None = None
    """Its styles are in `style` attributes already if `inline_css` asked for that."""
    text: str | None = None
    preheader: str | None = None
    inline_css: bool = False
    transactional: bool = False
    """Messages have no links to unsubscribe."""
    attachments: list[Attached] = []
    inline: list[Attached] = []
    headers: dict[str, str] = {}
    unknown: UnknownPolicy = UnknownPolicy.RESEND
    retry: RetryPolicy = RetryPolicy()
    sources: dict[str, Source] = {}
    """For error messages: by `from`, `reply_to`, `to_name`, `subject`, `preheader`, `html`, `text`
    and `header NAME`."""


def encode_spec(spec: CampaignSpec) -> bytes:
    """JSON, in UTF-8. Raises CampaignError when it is too large to be stored."""
    data = msgspec.json.encode(spec)
    if len(data) > MAX_SPEC_OCTETS:
        raise CampaignError(
            f"the campaign with its files takes {len(data):,} octets in the store, which is more"
            f" than {MAX_SPEC_OCTETS:,}: attach less"
        )
    return data


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


def join_mailbox(name: str, address: str) -> str:
    """The inverse of `split_mailbox`. The name is in quotes only if it would not come back
    without them."""
    joined = f"{name} <{address}>" if name else address
    if split_mailbox(joined)[0] == name:
        return joined
    escaped = name.replace('"', '\\"')
    return f'"{escaped}" <{address}>'


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
