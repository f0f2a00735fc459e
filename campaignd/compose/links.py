"""The links of a message that lead back to us: header fields, return path, and merge fields.

A campaign that is not transactional gets List-Unsubscribe (RFC 2369) with List-Unsubscribe-Post
(RFC 8058), List-Id (RFC 2919), Feedback-ID (Google) and Precedence. A field that the campaign sets
itself takes the place of ours. What is the same for all recipients is made once.

`Precedence: bulk` is what Google's guidelines for bulk mail asked for, and what autoresponders look
for (RFC 3834, 2). There is no Auto-Submitted: RFC 3834, 5, forbids it on what people wrote.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from hashlib import blake2b
from typing import Final, NamedTuple

from campaignd.compose.spec import CampaignSpec, split_mailbox
from campaignd.config import Config
from campaignd.tokens import MIN_KEY_OCTETS, Purpose, TokenKeys, load_token_keys

UNSUBSCRIBE_URL: Final = "unsubscribe_url"
MESSAGE_TOKEN: Final = "message_token"  # noqa: S105 - the name of a merge field

MERGE_FIELDS: Final = (UNSUBSCRIBE_URL, MESSAGE_TOKEN)
"""Names that templates may use beside the audience's columns."""

LIST_ID_OCTETS: Final = 255
"""At most (RFC 2919, 4)."""

_SENDER_ID: Final = (5, 15)
"""Characters that the last part of a Feedback-ID has (Google, "Feedback Loop (FBL)",
support.google.com/mail/answer/6254652)."""

_REPLACED: Final = ("list-unsubscribe", "list-unsubscribe-post")
"""Go together: ours would not fit to one of the campaign's."""


class Links(NamedTuple):
    """Where links lead, and what signs their tokens."""

    keys: TokenKeys
    url: str | None = None
    """Of `campaignd web`, without a slash at its end."""
    domain: str | None = None
    """Whose mail `campaignd receive` gets."""


class Marks(NamedTuple):
    """What one message says of its recipient. A text that nobody uses is empty."""

    header: bytes
    """Whole lines."""
    sender: bytes
    """For MAIL."""
    unsubscribe_url: str
    message_token: str


def load_links(config: Config) -> Links | None:
    """The links of messages that are sent; None if there is no key. Raises ConfigError for a key
    file that cannot be used."""
    files = [config.beside(name) for name in config.links.key_files]
    return _links(config, load_token_keys(files)) if files else None


def trial_links(config: Config) -> Links | None:
    """The same for messages that are not sent: with a key of the moment, since who looks at a
    campaign need not be allowed to read the real one."""
    return _links(config, trial_keys()) if config.links.key_files else None


def trial_keys() -> TokenKeys:
    """A key that nobody else has."""
    return TokenKeys([secrets.token_bytes(MIN_KEY_OCTETS)])


def _links(config: Config, keys: TokenKeys) -> Links:
    url = config.links.url
    return Links(keys, None if url is None else url.rstrip("/"), config.bounces.domain)


class CampaignLinks:
    """The links of one campaign's messages: first `unusable` and `fixed`, then `settle`, then
    `marks` for each."""

    def __init__(self, links: Links | None, campaign: int, spec: CampaignSpec) -> None:
        self.fixed = b""
        """Header fields that all messages have, as whole lines."""
        self.unusable = _unusable(links, spec)
        """Why templates cannot use some of MERGE_FIELDS."""
        self.constant: Marks | None = None
        """The marks of every message, if they are the same."""
        self._header: list[bytes] = []  # what stands around the token
        self._url: list[str] = []
        self._return: list[bytes] = []
        self._uses_url = self._uses_token = False
        address = split_mailbox(spec.sender)[1]
        self._sender = (spec.envelope_sender or address).encode("ascii")
        if links is None:
            return
        self._unsubscribe_token = links.keys.signer(Purpose.UNSUBSCRIBE, campaign)
        self._return_token = links.keys.signer(Purpose.RETURN, campaign)
        if links.domain is not None and spec.envelope_sender is None:
            self._return = [b"b-", b"@" + links.domain.encode("ascii")]
        if spec.transactional:
            return
        self._url = _url(links)
        own = {name.lower() for name in spec.headers}
        if self._url and own.isdisjoint(_REPLACED):
            self._header = _unsubscribe(links)
            if links.url is not None:
                self.fixed += b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
        domain = address.rpartition("@")[2]
        for name, value in (
            ("List-Id", list_id(spec.account, domain)),
            ("Feedback-ID", feedback_id(campaign, spec.account, domain)),
            ("Precedence", "bulk"),
        ):
            if name.lower() not in own:
                self.fixed += f"{name}: {value}\r\n".encode("ascii")

    def settle(self, used: Iterable[str]) -> None:
        """The templates use these of MERGE_FIELDS."""
        used = set(used)
        self._uses_url = UNSUBSCRIBE_URL in used
        self._uses_token = MESSAGE_TOKEN in used
        if not (used or self._header or self._return):
            self.constant = Marks(b"", self._sender, "", "")

    def marks(self, shard: int, seq: int) -> Marks:
        """Of the message for this recipient."""
        header, sender, url, text = b"", self._sender, "", ""
        if self._header or self._uses_url:
            token = self._unsubscribe_token(shard, seq)
            header = token.join(self._header)
            if self._uses_url:
                url = token.decode("ascii").join(self._url)
        if self._return or self._uses_token:
            token = self._return_token(shard, seq)
            if self._return:
                sender = token.join(self._return)
            text = token.decode("ascii")
        return Marks(header, sender, url, text)


def list_id(account: str, domain: str) -> str:
    """An account's list at a domain of ours (RFC 2919, 3), in angle brackets."""
    label = re.sub(r"[.@]+", ".", account)[: LIST_ID_OCTETS - len(domain) - 1].rstrip(".")
    return f"<{label}.{domain}>"


def feedback_id(campaign: int, account: str, domain: str) -> str:
    """From the narrowest to the widest group of mail; Google reports complaints by each."""
    least, most = _SENDER_ID
    sender = domain
    if not least <= len(domain) <= most:
        sender = blake2b(domain.encode("ascii"), digest_size=5).hexdigest()
    return f"{campaign}:{account}:bulk:{sender}"


def _url(links: Links) -> list[str]:
    """Around the token, what people follow; empty if there is no way to us."""
    if links.url is not None:
        return [f"{links.url}/u/", ""]
    return _mailto(links.domain) if links.domain is not None else []


def _mailto(domain: str) -> list[str]:
    return ["mailto:u-", f"@{domain}?subject=unsubscribe"]


def _unsubscribe(links: Links) -> list[bytes]:
    """List-Unsubscribe around its tokens, the preferred way first (RFC 2369, 2)."""
    ways = [_url(links)]
    if links.url is not None and links.domain is not None:
        ways.append(_mailto(links.domain))
    text = ",\r\n ".join(f"<{before}\0{after}>" for before, after in ways)
    return f"List-Unsubscribe: {text}\r\n".encode("ascii").split(b"\0")


def _unusable(links: Links | None, spec: CampaignSpec) -> dict[str, str]:
    column = f'; a column of that name is fields["{UNSUBSCRIBE_URL}"]'
    reasons = {}
    if spec.transactional:
        reasons[UNSUBSCRIBE_URL] = (
            f"{UNSUBSCRIBE_URL} is not for a transactional campaign: remove it, or take"
            f" transactional = true out of the campaign{column}"
        )
    elif links is None or not _url(links):
        reasons[UNSUBSCRIBE_URL] = (
            f"{UNSUBSCRIBE_URL} needs key_files and url of [links], or domain of [bounces], in the"
            f" configuration{column}"
        )
    if links is None:
        reasons[MESSAGE_TOKEN] = f"{MESSAGE_TOKEN} needs key_files of [links] in the configuration"
    return reasons
