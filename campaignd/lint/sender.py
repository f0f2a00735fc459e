"""What the rules say of who sends: From, the keys that sign for it, and the ways back to us."""

from __future__ import annotations

import re
from typing import Final

from campaignd.compose.spec import CampaignSpec, Source, split_mailbox
from campaignd.compose.template import Origin
from campaignd.config import Config
from campaignd.lint.rules import (
    FALSE_REPLY,
    NO_ONE_CLICK,
    NO_REPLY,
    NO_RETURN_PATH,
    NO_SUBJECT,
    NO_UNSUBSCRIBE,
    PROVIDERS_DOMAIN,
    Finding,
)
from campaignd.lint.source import is_blank

PROVIDERS: Final = frozenset(
    (
        *("gmail.com", "googlemail.com", "yahoo.com", "ymail.com", "rocketmail.com", "aol.com"),
        *("outlook.com", "hotmail.com", "live.com", "msn.com"),
    )
)
"""Domains of the mailbox providers whose rules these are. Only they can sign for them."""

_ONE_CLICK: Final = "List-Unsubscribe=One-Click"
"""All that List-Unsubscribe-Post may say (RFC 8058, 3.1)."""

_NO_REPLY: Final = re.compile(r"(?:no|do-?not|dont)[._-]?reply\b", re.IGNORECASE)
_REPLY: Final = re.compile(r"\s*(?:re|fwd?)\s*:", re.IGNORECASE)


def sender(spec: CampaignSpec) -> list[Finding]:
    """On From, Reply-To and Subject."""
    found = []
    address = split_mailbox(spec.sender)[1]
    local, _, domain = address.rpartition("@")
    where = place(spec, "from")
    if domain.lower() in PROVIDERS:
        found.append(
            Finding(
                PROVIDERS_DOMAIN,
                where,
                f"nobody but {domain} can authenticate mail from {domain}: send from a domain"
                " of your own",
            )
        )
    if _NO_REPLY.match(local) and spec.reply_to is None:
        found.append(
            Finding(
                NO_REPLY,
                where,
                f"{local}@ does not look as if it took replies: use an address that does, or"
                " add reply_to",
            )
        )
    if is_blank(spec.subject, Origin("", "")):
        found.append(Finding(NO_SUBJECT, place(spec, "subject"), "it is empty: write a subject"))
    if _REPLY.match(spec.subject):
        found.append(
            Finding(
                FALSE_REPLY,
                place(spec, "subject"),
                "a subject that begins like a reply or a forward, which this is not: reword it",
            )
        )
    return found


def unsubscribe(spec: CampaignSpec, config: Config) -> list[Finding]:
    """On List-Unsubscribe, and on where bounces come back."""
    found = [] if spec.transactional else _one_click(spec, config)
    if spec.envelope_sender is not None:  # it takes the place of ours
        found.append(
            Finding(
                NO_RETURN_PATH,
                f"{spec.sources.get('from', Source('campaign')).file}, envelope_sender",
                "bounces after delivery go to this address and suppress none: remove"
                " envelope_sender, and set domain in [bounces]",
            )
        )
    elif config.bounces.domain is None:
        found.append(
            Finding(
                NO_RETURN_PATH,
                "[bounces]",
                "bounces after delivery do not come back to suppress an address: set domain, and"
                " run `campaignd receive`",
            )
        )
    return found


def _one_click(spec: CampaignSpec, config: Config) -> list[Finding]:
    given = {name.lower(): value for name, value in spec.headers.items()}
    own = given.get("list-unsubscribe")
    if own is not None:  # it takes the place of ours
        if "<https://" in own.lower() and given.get("list-unsubscribe-post") == _ONE_CLICK:
            return []
        return [
            Finding(
                NO_ONE_CLICK,
                place(spec, "header List-Unsubscribe"),
                "it takes the place of campaignd's own and is no one-click unsubscribe: remove"
                f' it, or give an https:// address and List-Unsubscribe-Post = "{_ONE_CLICK}"',
            )
        ]
    if config.links.url is not None:
        if config.links.url.lower().startswith("https://"):
            return []
        saying = "one-click unsubscribe needs https://: put `campaignd web` behind a proxy with TLS"
        return [Finding(NO_ONE_CLICK, "[links] url", saying)]
    if config.bounces.domain is not None:
        saying = "one can unsubscribe by mail only: set url to where `campaignd web` is reached"
        return [Finding(NO_ONE_CLICK, "[links]", saying)]
    saying = (
        "messages have no List-Unsubscribe: set url and key_files; or set transactional = true in"
        " the campaign if it is nothing that one subscribes to"
    )
    return [Finding(NO_UNSUBSCRIBE, "[links]", saying)]


def place(spec: CampaignSpec, part: str) -> str:
    """Where a part of the campaign stands."""
    source = spec.sources.get(part, Source("campaign"))
    return f"{source.file}, line {source.line}"
