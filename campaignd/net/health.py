"""Whether a relay may be connected to: a circuit breaker with exponential backoff.

Pure: time and chance are passed in. A relay that fails is left alone for a while, then tried by
one session alone (half-open); only a transaction that it answers proves that it works again. A
relay that works is opened up by doubling, as TCP's slow start does, so that one with a limit of
connections is not hit by hundreds at once. Sessions that work go on working all the while.
"""

from __future__ import annotations

import enum
from typing import Final

FIRST_DELAY_SECONDS: Final = 1.0
"""After the first failure: about what a mail server needs to reload."""

LONGEST_DELAY_SECONDS: Final = 60.0
"""So that a relay that comes back is in use again within a minute."""

WIDEST_RAMP: Final = 32
"""Connections to one relay that may be under way at once."""


class State(enum.StrEnum):
    """How a relay does."""

    UP = "up"
    BACKOFF = "backoff"
    """Failed; no connection before `retry_at`."""
    PROBING = "probing"
    """The delay is over; one session finds out."""


class Health:
    """The health of one relay."""

    __slots__ = ("_probe_out", "_ramp", "failures", "last_error", "retry_at", "state")

    def __init__(self) -> None:
        self.state = State.UP
        self.failures = 0
        """Failures since it last worked; those during a backoff are not counted."""
        self.retry_at = 0.0
        """Seconds of the loop's clock, in BACKOFF."""
        self.last_error = ""
        self._ramp = 1
        self._probe_out = False

    @property
    def probing(self) -> bool:
        """Whether the next connection is a probe."""
        return self.state is State.PROBING

    def may_connect(self, now: float, connecting: int) -> int:
        """How many more connections may be begun, when `connecting` are under way."""
        if self.state is State.BACKOFF:
            if now < self.retry_at:
                return 0
            self.state = State.PROBING
        if self.state is State.PROBING:
            return 0 if self._probe_out or connecting else 1
        return max(0, self._ramp - connecting)

    def began(self) -> None:
        """A connection is under way."""
        if self.state is State.PROBING:
            self._probe_out = True

    def connected(self) -> None:
        """A connection succeeded."""
        if self.state is State.UP:
            self._ramp = min(2 * self._ramp, WIDEST_RAMP)

    def worked(self) -> bool:
        """A probe's transaction was answered; true when that changes the state."""
        if self.state is State.UP:
            return False
        self.state = State.UP
        self.failures = 0
        self._ramp = 1
        self._probe_out = False
        return True

    def probe_ended(self) -> None:
        """The probe ended without having found out anything; another may be sent."""
        self._probe_out = False

    def failed(self, now: float, reason: str, chance: float) -> bool:
        """Something of the relay failed. `chance` is uniform in [0, 1) and spreads the hosts.

        True when a backoff begins; failures of sessions that were opened before it change
        nothing, since they tell of the same trouble.
        """
        self.last_error = reason
        if self.state is State.BACKOFF:
            return False
        self.failures += 1
        delay = min(FIRST_DELAY_SECONDS * 2.0 ** min(self.failures - 1, 30), LONGEST_DELAY_SECONDS)
        self.retry_at = now + delay * (0.5 + 0.5 * chance)
        self.state = State.BACKOFF
        self._ramp = 1
        self._probe_out = False
        return True
