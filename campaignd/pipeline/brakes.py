"""When a campaign pauses itself: too large a share of what receivers answered lately is bad.

Pure: time is passed in, and nothing is paused here. A host judges by its own attempts. Trouble of
one relay or of one destination is not the campaign's: without the worst relay, where several are in
use, and without the worst destination domain the share has to be too large as well. What a relay
has against us (`Bounce.RELAY`) never counts.
"""

from __future__ import annotations

import enum
import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from typing import Final, NamedTuple, TypeVar

from campaignd.config import Brakes as Limits
from campaignd.model import Outcome
from campaignd.smtp.bounces import Bounce
from campaignd.wording import duration

BUCKETS: Final = 30
"""Parts of the window: how exactly old attempts leave it."""

DOMAINS: Final = 256
"""Destination domains watched in a bucket, the first that refuse something. The worst is among
them, unless it is not in any bucket of a window."""

REST: Final = 0.1
"""Of the sample: so many attempts have to be left without the worst relay or domain, else nothing
is known of the others."""


COMPLAINTS: Final = 10
"""Fewer may be chance: at 0.3 % of 500 messages one or two are expected."""


class Cause(enum.StrEnum):
    """What there is too much of."""

    REJECTED = "rejected"
    AUTHENTICATION = "authentication"
    COMPLAINED = "complained"


class Brake(NamedTuple):
    """Why a campaign is to be paused."""

    cause: Cause
    reason: str
    """For people, at most 200 characters."""


class Tally:
    """Attempts that receivers answered, and how many of them count against the campaign."""

    __slots__ = ("attempts", "authentication", "rejected")

    def __init__(self, attempts: int = 0, rejected: int = 0, authentication: int = 0) -> None:
        self.attempts = attempts
        self.rejected = rejected
        self.authentication = authentication

    def add(self, other: Tally) -> None:
        self.attempts += other.attempts
        self.rejected += other.rejected
        self.authentication += other.authentication

    def bad(self, cause: Cause) -> int:
        return self.rejected if cause is Cause.REJECTED else self.authentication


class Bucket:
    """A part of a campaign's window."""

    __slots__ = ("classes", "domains", "ends", "relays")

    def __init__(self, ends: float) -> None:
        self.ends = ends
        self.relays: dict[str, Tally] = {}
        self.domains: dict[bytes, Tally] = {}
        """Of domains that refused something: their attempts from then on."""
        self.classes: Counter[Bounce] = Counter()
        """Of what was rejected."""


class Brakes:
    """The windows of the campaigns that this host works on. Times are epoch seconds."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._windows: dict[int, list[Bucket]] = {}

    def __iter__(self) -> Iterator[int]:
        """The campaigns with a window."""
        return iter(list(self._windows))

    def forget(self, campaign: int) -> None:
        """Its next attempts begin a new window."""
        self._windows.pop(campaign, None)

    def keep(self, campaigns: Collection[int]) -> None:
        """Drops the windows of all others."""
        for campaign in [one for one in self._windows if one not in campaigns]:
            del self._windows[campaign]

    def saw(
        self,
        campaign: int,
        relay: str,
        recipient: bytes,
        outcome: Outcome,
        bounce: Bounce | None,
        at: float,
    ) -> None:
        """A receiver answered an attempt; `bounce` is the class of a refusal. Cheap: called for
        every message."""
        if bounce is Bounce.RELAY:
            return
        buckets = self._windows.get(campaign)
        if buckets is None or at >= buckets[-1].ends:
            buckets = self._open(campaign, at)
        bucket = buckets[-1]
        tally = bucket.relays.get(relay)
        if tally is None:
            tally = bucket.relays[relay] = Tally()
        tally.attempts += 1
        if bucket.domains or bounce is not None:
            domain = recipient[recipient.rfind(b"@") + 1 :]
            of_domain = bucket.domains.get(domain)
            if of_domain is not None:
                of_domain.attempts += 1
            elif bounce is not None and len(bucket.domains) < DOMAINS:
                of_domain = bucket.domains[domain] = Tally(1)
            if bounce is not None:
                for one in (tally, of_domain) if of_domain is not None else (tally,):
                    one.rejected += outcome is Outcome.REJECTED
                    one.authentication += bounce is Bounce.AUTHENTICATION
                if outcome is Outcome.REJECTED:
                    bucket.classes[bounce] += 1

    def judge(self, campaign: int, now: float) -> Brake | None:
        """Whether the campaign is to be paused for what its receivers answered."""
        limits = self.limits
        buckets = [
            bucket
            for bucket in self._windows.get(campaign, ())
            if bucket.ends > now - limits.window
        ]
        relays = _sum(bucket.relays for bucket in buckets)
        domains = _sum(bucket.domains for bucket in buckets)
        for cause, threshold in (
            (Cause.REJECTED, limits.rejected),
            (Cause.AUTHENTICATION, limits.authentication),
        ):
            if too_many(cause, threshold, limits.sample, relays.values(), domains.values()):
                total = _total(relays.values())
                classes: Counter[Bounce] = Counter()
                for bucket in buckets:
                    classes.update(bucket.classes)
                return Brake(cause, _reason(cause, total, classes, limits.window))
        return None

    def _open(self, campaign: int, at: float) -> list[Bucket]:
        window = self.limits.window
        buckets = [
            bucket for bucket in self._windows.get(campaign, ()) if bucket.ends > at - window
        ]
        buckets.append(Bucket(at + window / BUCKETS))
        self._windows[campaign] = buckets
        return buckets


def too_many(
    cause: Cause,
    threshold: float,
    sample: int,
    relays: Collection[Tally],
    domains: Collection[Tally],
) -> bool:
    """The decision. `relays` hold every attempt between them; of `domains` those that refused
    nothing may be missing. A threshold of 1 is never passed."""
    total = _total(relays)
    if total.attempts < sample or not _passes(cause, threshold, total):
        return False
    suspects = [*domains, *(relays if len(relays) > 1 else ())]
    least = max(1, math.ceil(sample * REST))
    for suspect in suspects:
        rest = Tally(
            total.attempts - suspect.attempts,
            total.rejected - suspect.rejected,
            total.authentication - suspect.authentication,
        )
        if rest.attempts < least or not _passes(cause, threshold, rest):
            return False
    return True


def late_bounces(bounced: int, worst: int, accepted: int, limits: Limits) -> Brake | None:
    """The same for addresses that turned out to be bad after a relay had accepted the message, of
    what all hosts had accepted in the window; `worst` of them are at one destination domain."""
    rest = accepted - worst  # as if nothing else had been accepted there
    if accepted < limits.sample or rest < limits.sample * REST:
        return None
    if bounced - worst <= limits.rejected * rest:
        return None
    share = f"{_percent(bounced, accepted)} of {accepted:,} accepted messages"
    window = duration(limits.window)
    return Brake(
        Cause.REJECTED, f"paused by brakes: {share} bounced in {window}, mostly address_bad"
    )


def complaints(complained: int, accepted: int, limits: Limits) -> Brake | None:
    """The same for complaints. They come hours after the fact, so that these are all of those that
    were accepted since the campaign was taken up, over all hosts. Few providers tell of any, so
    that no destination is left out."""
    if accepted < limits.sample or complained < COMPLAINTS:
        return None
    if complained <= limits.complained * accepted:
        return None
    share = f"{_percent(complained, accepted)} of {accepted:,} accepted messages"
    return Brake(Cause.COMPLAINED, f"paused by brakes: {share} complained about")


_Key = TypeVar("_Key", str, bytes)


def _passes(cause: Cause, threshold: float, tally: Tally) -> bool:
    return tally.bad(cause) > threshold * tally.attempts


def _total(tallies: Iterable[Tally]) -> Tally:
    total = Tally()
    for tally in tallies:
        total.add(tally)
    return total


def _sum(parts: Iterable[dict[_Key, Tally]]) -> dict[_Key, Tally]:
    found: dict[_Key, Tally] = {}
    for part in parts:
        for key, tally in part.items():
            found.setdefault(key, Tally()).add(tally)
    return found


def _reason(cause: Cause, total: Tally, classes: Counter[Bounce], window: float) -> str:
    share = f"{_percent(total.bad(cause), total.attempts)} of {total.attempts:,} attempts"
    if cause is Cause.AUTHENTICATION:
        return f"paused by brakes: {share} failed authentication in {duration(window)}"
    mostly = classes.most_common(1)[0][0]
    return f"paused by brakes: {share} rejected in {duration(window)}, mostly {mostly.value}"


def _percent(part: int, whole: int) -> str:
    share = 100 * part / whole
    return f"{share:.0f} %" if share >= 1 else f"{share:.2g} %"
