"""How the sink treats recipients and sessions: decisions without I/O.

What becomes of a recipient depends on its address alone, so a checker can compute it too.
"""

from __future__ import annotations

import enum
import hashlib
from typing import Annotated, Final, Literal

import msgspec

from campaignd.errors import UsageError

_HASH_SPAN: Final = float(1 << 64)


class Fate(enum.StrEnum):
    """What the sink does with a recipient instead of accepting it."""

    REJECT = "reject"
    """A 550 reply."""
    DEFER = "defer"
    """A 451 reply."""
    DROP = "drop"
    """The connection closes after the final dot without a reply; the message is not taken."""
    SWALLOW = "swallow"
    """The message is taken and logged, then the connection closes without a reply."""


class Rule(msgspec.Struct, frozen=True):
    """One fate and whom it meets: a share of all addresses, or those with a prefix.

    With `once` it meets only the first attempt of each recipient; later ones pass.
    """

    fate: Fate
    share: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.0
    prefix: str | None = None
    once: bool = False

    @classmethod
    def parse(cls, fate: Fate, text: str, *, once: bool = False) -> Rule:
        """Reads a share such as `0.05` or `5%`, or a prefix of the address such as `bad*`.

        Raises UsageError, saying what it must look like.
        """
        if text.endswith("*") and len(text) > 1:
            return cls(fate, prefix=text[:-1], once=once)
        try:
            share = float(text[:-1]) / 100 if text.endswith("%") else float(text)
        except ValueError:
            share = -1.0
        if not 0 <= share <= 1:
            raise UsageError(f"{text!r} is neither a share such as 0.05 or 5% nor a prefix* ")
        return cls(fate, share=share, once=once)


class SinkPolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All settings of a sink's behaviour. The default accepts everything at once.

    Rules with prefixes are looked at first, in order; the shares of the others lie side by
    side, so that no address is in two of them.
    """

    rules: tuple[Rule, ...] = ()
    at: Literal["rcpt", "final-dot"] = "rcpt"
    """Where REJECT and DEFER are answered."""
    delay: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 0.0
    """Seconds between taking (and logging) a message and its final reply."""
    max_sessions: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """Further connections get a 421 greeting."""
    messages_per_session: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """The MAIL after so many messages gets a 421 reply and the connection closes."""
    size_limit: Annotated[int, msgspec.Meta(ge=1)] = 50 * 1024 * 1024
    """Octets of one message (RFC 1870)."""
    idle_timeout: Annotated[float, msgspec.Meta(gt=0)] = 300.0
    """Seconds without a command before a 421 (RFC 5321, 4.5.3.2.7)."""
    pipelining: bool = True
    eight_bit_mime: bool = True
    smtputf8: bool = True
    enhanced_status_codes: bool = True

    def __post_init__(self) -> None:
        if sum(rule.share for rule in self.rules) > 1 + 1e-9:
            raise ValueError("the shares of the rules add up to more than 1")

    def extensions(self) -> list[bytes]:
        """What EHLO announces, but for STARTTLS and AUTH."""
        switches = (
            (b"PIPELINING", self.pipelining),
            (b"8BITMIME", self.eight_bit_mime),
            (b"SMTPUTF8", self.smtputf8),
            (b"ENHANCEDSTATUSCODES", self.enhanced_status_codes),
        )
        return [b"SIZE %d" % self.size_limit, *(name for name, on in switches if on)]

    def rule_for(self, recipient: str) -> Rule | None:
        """The rule that meets an address, whichever attempt it is; None: it is accepted."""
        if not self.rules:
            return None
        for rule in self.rules:
            if rule.prefix is not None and recipient.startswith(rule.prefix):
                return rule
        point = fingerprint(recipient) / _HASH_SPAN
        for rule in self.rules:
            if rule.prefix is None:
                if point < rule.share:
                    return rule
                point -= rule.share
        return None


def fingerprint(recipient: str) -> int:
    """64 evenly spread bits of an address, the same in every process."""
    digest = hashlib.blake2b(recipient.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big")
