"""What a provider's request is turned into, and how one is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from campaignd.errors import CampaigndError
from campaignd.feedback import Event


class Incoming(NamedTuple):
    """A request as it came."""

    headers: Mapping[str, str]
    """By lower-case name."""
    body: bytes
    now: float
    """Epoch seconds."""


class Notice(NamedTuple):
    """One thing that happened to one message. `marks` are texts that may hold a token of ours,
    the likeliest first; the other fields are those of Feedback."""

    event: Event
    marks: Sequence[str]
    at: float
    enhanced: str = ""
    detail: str = ""
    permanent: bool = True


class Refused(CampaigndError):
    """A request that is not the provider's, or not what one sends. `reason` is one word."""

    def __init__(self, reason: str, status: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status


def forged() -> Refused:
    """Its signature is missing or wrong."""
    return Refused("signature", 403)


def stale() -> Refused:
    """It is signed, and too old: the provider has stopped trying by now."""
    return Refused("stale", 403)


def malformed() -> Refused:
    """It is no JSON, or not of the form that this provider sends."""
    return Refused("malformed", 400)


class Provider(Protocol):
    """One configured webhook."""

    async def notices(self, incoming: Incoming) -> Sequence[Notice]:
        """What the request says, once it is proved to be the provider's. Raises Refused, and
        Outage when it cannot be proved at present."""
