"""Reads the files that every message of a campaign carries: attachments and inline images."""

from __future__ import annotations

import re
from collections.abc import Sequence
from email import message_from_string
from email.policy import default
from mimetypes import MimeTypes
from pathlib import Path
from typing import Annotated, Final

import msgspec

from campaignd.compose.folder import inside, read
from campaignd.compose.markup import masked
from campaignd.compose.spec import Attached
from campaignd.errors import CampaignError

MAX_OCTETS: Final = 10_000_000
"""Of all files of a campaign together. A third more goes over the wire, and few receivers take
more than 20 to 25 MB; and see spec.MAX_SPEC_OCTETS."""

MAX_FILES: Final = 50

CID_USED: Final = re.compile(r"(?:=\s*[\"']?|url\(\s*[\"']?)cid:([^\s\"'<>)]+)", re.IGNORECASE)
"""Where HTML or its styles ask for an image of the message; the group is the cid."""

_UNKNOWN: Final = "application/octet-stream"
_NOT_ENCODED: Final = ("message/", "multipart/")
"""Types that cannot be in base64 (RFC 2046, 5.1 and 5.2)."""
_TYPE: Final = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,63}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,99}"
    r"(?:; *[A-Za-z0-9_-]{1,40}=(?:[A-Za-z0-9!#$&^_.+-]{1,80}|\"[ !#-\[\]-~]{1,80}\"))*"
)
_CID: Final = re.compile(r"[A-Za-z0-9!#$&'*+/=?^_`{|}~-][A-Za-z0-9!#$&'*+/=?^_`{|}~.@-]{0,99}")
_TYPES: Final = MimeTypes()  # those of Python, whatever the host has


class Attachment(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A table of the campaign file."""

    file: str
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200)] | None = None
    type: str | None = None


class Inline(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A table of the campaign file."""

    file: str
    cid: str


def load_files(
    campaign: Path, attachments: Sequence[Attachment], inline: Sequence[Inline], html: str | None
) -> tuple[list[Attached], list[Attached]]:
    """The files of [[attachments]] and [[inline]]. Raises CampaignError for a file that cannot be
    used, and for an image that the HTML asks for and that is not there."""
    if len(attachments) + len(inline) > MAX_FILES:
        raise CampaignError(f"{campaign}: at most {MAX_FILES} [[attachments]] and [[inline]]")
    left = MAX_OCTETS
    files: list[Attached] = []
    images: list[Attached] = []
    named: list[Attachment | Inline] = [*attachments, *inline]
    for each in named:
        key = "attachments" if isinstance(each, Attachment) else "inline"
        shown = f"{campaign}: {key}: {each.file}"
        data = read(inside(campaign, key, each.file), shown, left)
        left -= len(data)
        if left < 0:
            raise CampaignError(
                f"{shown}: the campaign's files have more than {MAX_OCTETS:,} octets together:"
                " link to large ones instead"
            )
        if isinstance(each, Attachment):
            files.append(_attachment(each, data, shown))
        else:
            images.append(_image(each, data, shown))
    _check_cids(campaign, images, html)
    return files, images


def _attachment(given: Attachment, data: bytes, shown: str) -> Attached:
    name = _name(given.name or Path(given.file).name, shown)
    kind = given.type or _guessed(name, data)
    parsed = message_from_string(f"Content-Type: {kind}\n\n", policy=default)
    if not _TYPE.fullmatch(kind) or parsed["Content-Type"].defects:
        raise CampaignError(f"{shown}: type: {kind[:100]!r} is not like application/pdf")
    if parsed.get_content_type().startswith(_NOT_ENCODED):
        raise CampaignError(f"{shown}: type: {kind[:100]} cannot be attached: leave it out")
    return Attached(name, kind, data)


def _image(given: Inline, data: bytes, shown: str) -> Attached:
    name = _name(Path(given.file).name, shown)
    if not _CID.fullmatch(given.cid):
        raise CampaignError(f"{shown}: cid: {given.cid[:100]!r}: write letters, digits, . and @")
    kind = _guessed(name, data)
    if not kind.startswith("image/"):
        raise CampaignError(f"{shown}: not an image by its name, such as logo.png: attach it")
    return Attached(name, kind, data, given.cid)


def _name(name: str, shown: str) -> str:
    if not name.isprintable() or re.search(r"[/\\]|=\?", name) or name != name.strip():
        raise CampaignError(f"{shown}: name: {name[:100]!r}: write a file name, without a folder")
    return name


def _guessed(name: str, data: bytes) -> str:
    kind, compression = _TYPES.guess_type(name.lower())
    if compression is not None:
        return "application/gzip" if compression == "gzip" else _UNKNOWN
    if kind is None or kind.startswith(_NOT_ENCODED):
        return _UNKNOWN
    if kind.startswith("text/"):
        try:
            data.decode("utf-8")
        except UnicodeDecodeError:
            return _UNKNOWN
        return f'{kind}; charset="utf-8"'
    return kind


def _check_cids(campaign: Path, images: Sequence[Attached], html: str | None) -> None:
    known = [image.cid for image in images]
    for cid in known:
        if known.count(cid) > 1:
            raise CampaignError(f"{campaign}: inline: two images have the cid {cid}")
    if known and html is None:
        raise CampaignError(f"{campaign}: inline: there is no html that could show an image")
    source = html or ""
    flat = masked(source)
    for found in CID_USED.finditer(flat):
        is_fixed = source[found.start() : found.end()] == found[0]
        if is_fixed and found[1] not in known:
            raise CampaignError(
                f"{campaign}: html: the image cid:{found[1][:100]} is not there: add [[inline]]"
                f' with cid = "{found[1][:100]}"'
            )
