"""Reads a campaign file (TOML) and the templates that it names.

It must never read a file outside of the campaign file's own folder. Templates are only read
here; `composer.Composer` compiles them, once the audience's columns are known.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Annotated, Final

import msgspec

from campaignd.compose.attachments import Attachment, Inline, load_files
from campaignd.compose.folder import inside, read
from campaignd.compose.spec import CampaignSpec, Source, ascii_address, join_mailbox, split_mailbox
from campaignd.compose.template import MAX_SOURCE_CHARACTERS
from campaignd.errors import CampaignError
from campaignd.model import RetryPolicy, UnknownPolicy

MAX_HEADERS: Final = 50
MAX_HEADER_NAME: Final = 40
"""Characters; leaves room on the line for an encoded word (RFC 2047, 2)."""

_HEADER_NAME: Final = re.compile(r"[!-9;-~]+")
_OURS: Final = re.compile(
    r"from|sender|reply-to|to|cc|bcc|date|message-id|subject|mime-version|content-.*|received"
    r"|return-path|dkim-signature|arc-.*|authentication-results|resent-.*|delivered-to",
    re.IGNORECASE,
)
"""Header fields that campaignd or the servers on the way set."""

_DURATION: Final = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)(s|m|h|d)")
_SECONDS: Final = {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_MOST_SECONDS: Final = 30 * 86_400.0


class _Retry(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    first: float | str = RetryPolicy().first
    factor: Annotated[float, msgspec.Meta(ge=1, le=100)] = RetryPolicy().factor
    longest: float | str = RetryPolicy().longest
    expire: float | str = RetryPolicy().expire


class _File(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    account: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}\Z")]
    sender: str = msgspec.field(name="from")
    envelope_sender: str | None = None
    reply_to: str | None = None
    to_name: str | None = None
    subject: str
    html: str | None = None
    text: str | None = None
    preheader: str | None = None
    inline_css: bool = False
    transactional: bool = False
    attachments: list[Attachment] = []
    inline: list[Inline] = []
    headers: dict[str, str] = {}
    unknown: UnknownPolicy = UnknownPolicy.RESEND
    retry: _Retry = msgspec.field(default_factory=_Retry)


def load_campaign(path: Path) -> CampaignSpec:
    """Raises CampaignError, one line that says what to change."""
    toml = _read(path, str(path))
    file = _parse(toml, path)
    if not file.name.isprintable():
        raise CampaignError(f"{path}: name: use printable characters")
    if file.html is None and file.text is None:
        raise CampaignError(f'{path}: add html = "FILE" or text = "FILE": there is no content')
    envelope = file.envelope_sender
    html = _html(file, path)
    attachments, inline = load_files(path, file.attachments, file.inline, html)
    _check_headers(file.headers, path)
    sources = {
        key: _line_of(toml, key, path)
        for key in ("from", "reply_to", "to_name", "subject", "preheader")
    }
    sources |= {"html": Source(file.html or ""), "text": Source(file.text or "")}
    sources |= {f"header {name}": _line_of(toml, name, path) for name in file.headers}
    return CampaignSpec(
        name=file.name,
        account=file.account,
        sender=_sender(file.sender, path),
        envelope_sender=_address(envelope, "envelope_sender", path) if envelope else None,
        reply_to=_reply_to(file.reply_to, path),
        to_name=file.to_name,
        subject=file.subject,
        html=html,
        text=None if file.text is None else _template(file.text, "text", path),
        preheader=file.preheader,
        inline_css=file.inline_css,
        transactional=file.transactional,
        attachments=attachments,
        inline=inline,
        headers=file.headers,
        unknown=file.unknown,
        retry=_retry(file.retry, path),
        sources=sources,
    )


def _parse(toml: str, path: Path) -> _File:
    try:
        return msgspec.convert(tomllib.loads(toml), _File)
    except (ValueError, msgspec.ValidationError) as error:  # also a number of 5,000 digits
        raise CampaignError(f"{path}: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise CampaignError(f"{path}: nested too deep") from None


def _read(path: Path, shown: str) -> str:
    data = read(path, shown, 4 * MAX_SOURCE_CHARACTERS)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise CampaignError(f"{shown}, line {line}: not UTF-8: save it as UTF-8") from None
    if len(text) > MAX_SOURCE_CHARACTERS:
        raise CampaignError(f"{shown}: longer than {MAX_SOURCE_CHARACTERS} characters: shorten it")
    return text


def _template(name: str, key: str, campaign: Path) -> str:
    return _read(inside(campaign, key, name), f"{campaign}: {key}: {name}")


def _html(file: _File, campaign: Path) -> str | None:
    if file.html is None:
        for key in ("preheader", "inline_css"):
            if getattr(file, key):
                raise CampaignError(f"{campaign}: {key}: there is no html that it could be for")
        return None
    source = _template(file.html, "html", campaign)
    if not file.inline_css:
        return source
    from campaignd.compose.css import with_inline_css  # loads 15 MB that few campaigns need

    return with_inline_css(source, f"{campaign}: html: {file.html}")


def _sender(text: str, path: Path) -> str:
    name, given = split_mailbox(text)
    return join_mailbox(name, _address(given, "from", path))


def _reply_to(text: str | None, path: Path) -> str | None:
    if text is None:
        return None
    name, given = split_mailbox(text)
    return join_mailbox(name, _address(given, "reply_to", path))


def _address(text: str, key: str, path: Path) -> str:
    address = ascii_address(text)
    if address is None:
        raise CampaignError(
            f'{path}: {key}: {text[:100]!r} is not an address: write "Name <user@example.com>",'
            " merge fields in the name only"
        )
    return address


def _check_headers(headers: dict[str, str], path: Path) -> None:
    if len(headers) > MAX_HEADERS:
        raise CampaignError(f"{path}: [headers]: at most {MAX_HEADERS}")
    seen: set[str] = set()
    for name in headers:
        where = f"{path}: [headers] {name[:MAX_HEADER_NAME]!r}"
        if _OURS.fullmatch(name):
            raise CampaignError(f"{where}: this header is set by campaignd: remove it")
        if not _HEADER_NAME.fullmatch(name):
            raise CampaignError(f"{where}: use letters, digits and hyphens")
        if len(name) > MAX_HEADER_NAME:
            raise CampaignError(f"{where}: a name has at most {MAX_HEADER_NAME} characters")
        if name.lower() in seen:
            raise CampaignError(f"{where}: given twice")
        seen.add(name.lower())
    if "list-unsubscribe-post" in seen and "list-unsubscribe" not in seen:
        raise CampaignError(
            f"{path}: [headers] List-Unsubscribe-Post: says nothing without List-Unsubscribe:"
            " remove it, and campaignd sets both, or add the other"
        )


def _retry(file: _Retry, path: Path) -> RetryPolicy:
    policy = RetryPolicy(
        first=_duration(file.first, "first", path),
        factor=file.factor,
        longest=_duration(file.longest, "longest", path),
        expire=_duration(file.expire, "expire", path),
    )
    if policy.longest < policy.first:
        raise CampaignError(f"{path}: [retry] longest: must not be shorter than first")
    return policy


def _duration(value: float | str, key: str, path: Path) -> float:
    seconds = -1.0
    if isinstance(value, str):
        match = _DURATION.fullmatch(value.strip())
        if match:
            seconds = float(match[1]) * _SECONDS[match[2]]
    else:
        seconds = float(value)
    if not 1 <= seconds <= _MOST_SECONDS:
        raise CampaignError(f'{path}: [retry] {key}: write seconds, "5m" or "4h"; 1 s to 30 d')
    return seconds


def _line_of(toml: str, key: str, path: Path) -> Source:
    """Where a key's value begins, as well as can be told without TOML's own positions."""
    name = re.escape(key)
    match = re.search(
        rf"^[ \t]*([\"']?){name}\1[ \t]*=[ \t]*((?:\"\"\"|''')\n)?", toml, re.MULTILINE
    )
    return Source(path.name, toml.count("\n", 0, match.end()) + 1 if match else 1)
