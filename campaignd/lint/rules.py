"""The rules: what each objects to, how much it matters, and who says so.

An error is what a mailbox provider refuses, or what costs recipients their message. A warning is
what counts against a message, or what cannot be seen from here.
"""

from __future__ import annotations

import enum
from typing import Final, NamedTuple

GOOGLE: Final = "https://support.google.com/a/answer/81126"
YAHOO: Final = "https://senders.yahooinc.com/best-practices/"
MICROSOFT: Final = (
    "https://techcommunity.microsoft.com/blog/microsoftdefenderforoffice365blog/strengthening-email"
    "-ecosystem-outlook%E2%80%99s-new-requirements-for-high%E2%80%90volume-senders/4399730"
)


class Level(enum.StrEnum):
    ERROR = "error"
    WARNING = "warning"


class Rule(NamedTuple):
    id: str
    level: Level
    source: str
    """An RFC with its section, or a URL."""


class Finding(NamedTuple):
    """One breach of a rule."""

    rule: Rule
    where: str
    """A file with its line, a row of the recipients, a section of the configuration, a name in
    the DNS."""
    text: str
    """One line: what is wrong, and what to change."""


RULES: Final[dict[str, Rule]] = {}
"""All of them by their ids."""


def _rule(id: str, level: Level, source: str) -> Rule:
    RULES[id] = Rule(id, level, source)
    return RULES[id]


_error, _warning = Level.ERROR, Level.WARNING

# Who sends, and who signs for it.
PROVIDERS_DOMAIN: Final = _rule("providers-domain", _error, GOOGLE)
NO_REPLY: Final = _rule("no-reply", _warning, MICROSOFT)
UNSIGNED: Final = _rule("unsigned", _warning, GOOGLE)
NOT_ALIGNED: Final = _rule("not-aligned", _error, "RFC 9989, 4.4")
KEY_UNUSABLE: Final = _rule("key-unusable", _error, "RFC 8301, 3.2")
KEY_UNSEEN: Final = _rule("key-unseen", _warning, "RFC 8301, 3.2")
ED25519_ONLY: Final = _rule("ed25519-only", _warning, "RFC 8463, 6")

# How to leave, and what comes back.
NO_UNSUBSCRIBE: Final = _rule("no-unsubscribe", _error, "RFC 8058, 3.1")
NO_ONE_CLICK: Final = _rule("no-one-click", _error, "RFC 8058, 3.1")
NO_UNSUBSCRIBE_LINK: Final = _rule("no-unsubscribe-link", _warning, GOOGLE)
NO_RETURN_PATH: Final = _rule("no-return-path", _warning, MICROSOFT)

# What is in it.
HTML_SIZE: Final = _rule(
    "html-size",
    _warning,
    "https://www.spamresource.com/2022/01/what-is-gmail-clipping-and-what-to-do.html",
)
NO_TEXT: Final = _rule("no-text", _warning, "RFC 2046, 5.1.4")
IMAGE_ALT: Final = _rule("image-alt", _warning, "https://www.w3.org/TR/WCAG22/#non-text-content")
HTTP_LINK: Final = _rule("http-link", _warning, "https://www.w3.org/2001/tag/doc/web-https")
UNUSED_IMAGE: Final = _rule("unused-image", _warning, "RFC 2387, 3.4")
FALSE_REPLY: Final = _rule("false-reply", _warning, GOOGLE)

# Whom it is for.
NO_SUBJECT: Final = _rule("no-subject", _error, "RFC 5322, 3.6.5")
EMPTY_FIELD: Final = _rule("empty-field", _warning, "docs/reference.md")
ROW_REJECTED: Final = _rule("row-rejected", _error, "docs/reference.md")
ROW_UNUSABLE: Final = _rule("row-unusable", _warning, "docs/reference.md")

# What the DNS says (`--dns`).
DKIM_RECORD: Final = _rule("dkim-record", _error, "RFC 6376, 3.6.1")
NO_SPF: Final = _rule("no-spf", _error, GOOGLE)
NO_DMARC: Final = _rule("no-dmarc", _error, GOOGLE)
UNREACHABLE: Final = _rule("unreachable", _error, "RFC 5321, 5.1")
DNS_UNKNOWN: Final = _rule("dns-unknown", _warning, "RFC 1035, 4.1.1")
