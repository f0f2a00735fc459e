"""One relay as the pool sees it: its sessions, health, rate and counts.

It holds state and answers questions about it; what to do is decided in `pool`.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from campaignd import events
from campaignd.config import Config, Relay
from campaignd.model import Outcome
from campaignd.net.connect import Connector
from campaignd.net.health import Health
from campaignd.net.rate import Rate

if TYPE_CHECKING:
    from campaignd.net.session import Session
    from campaignd.smtp.command import Capabilities


class RelayStatus(NamedTuple):
    """What an operator wants to see of a relay."""

    name: str
    state: str
    """`up`, `backoff`, `probing`, or `leaving` when it was removed from the configuration."""
    sessions: int
    busy: int
    connecting: int
    last_error: str
    """The last failure, or an empty string; kept when the relay works again."""
    retry_in: float
    """Seconds until it is tried again; 0 unless in `backoff`."""
    rate_limited: bool
    """Whether it could take more messages now if its `messages_per_second` let it."""
    accepted: int
    deferred: int
    rejected: int
    unknown: int
    returned: int
    """Jobs handed back un-attempted."""


class Lane:
    """See the module's text."""

    def __init__(self, config: Config, relay: Relay, *, host: str) -> None:
        self.relay = relay
        self.connector = Connector(config, relay, host=host)
        self.sessions: set[Session] = set()
        self.idle: dict[Session, None] = {}
        """Sessions that could take a job, the last used at the end."""
        self.connecting = 0
        self.health = Health()
        self.rate: Rate | None = None
        self.offered: Capabilities | None = None
        """What its last EHLO offered."""
        self.removed = False
        self.generation = 0
        """Counts how often what is connected to, or how, has changed."""
        self.counts = [0] * (max(Outcome) + 1)
        """Verdicts by outcome."""
        self.returned = 0

    @property
    def name(self) -> str:
        return self.relay.name

    @property
    def busy(self) -> int:
        """Sessions that are not idle."""
        return len(self.sessions) - len(self.idle)

    @property
    def load(self) -> float:
        """Busy sessions and those to come, by weight; work goes to the lane with the least."""
        return (self.busy + self.connecting) / self.relay.weight

    @property
    def permitted(self) -> bool:
        """Whether its rate allows one more message now."""
        return self.rate is None or self.rate.permits > 0

    def may_open(self, now: float) -> int:
        """How many connections may be begun now."""
        if self.removed:
            return 0
        room = self.relay.connections - len(self.sessions) - self.connecting
        if self.rate is not None:
            room = min(room, self.rate.permits - self.connecting)
        return min(room, self.health.may_connect(now, self.connecting)) if room > 0 else 0

    def failed(self, now: float, reason: str) -> None:
        """Its health suffers."""
        if self.health.failed(now, reason, random.random()):  # noqa: S311  # spreads hosts only
            events.relay_trouble(self.name, reason, self.health.retry_at - now)

    def worked(self) -> None:
        """A session's first transaction was answered."""
        if self.health.worked():
            events.relay_recovered(self.name)

    def configure(self, config: Config, relay: Relay, *, host: str) -> bool:
        """Takes over settings; true when its sessions are of no more use because what they are
        connected to, or how, has changed."""
        same = msgspec.structs.replace(
            self.relay,
            connections=relay.connections,
            weight=relay.weight,
            messages_per_connection=relay.messages_per_connection,
            seconds_per_connection=relay.seconds_per_connection,
            messages_per_second=relay.messages_per_second,
            timeouts=relay.timeouts,
        )
        changed = same != relay
        self.relay = relay
        self.connector = Connector(config, relay, host=host)
        if changed:
            self.generation += 1
            self.health = Health()
        return changed

    def status(self, now: float) -> RelayStatus:
        """For people. `now` is of the loop's clock."""
        state = "leaving" if self.removed else self.health.state.value
        waiting = self.health.retry_at - now if state == "backoff" else 0.0
        return RelayStatus(
            name=self.name,
            state=state,
            sessions=len(self.sessions),
            busy=self.busy,
            connecting=self.connecting,
            last_error=self.health.last_error,
            retry_in=max(0.0, waiting),
            rate_limited=not self.permitted,
            accepted=self.counts[Outcome.ACCEPTED],
            deferred=self.counts[Outcome.DEFERRED],
            rejected=self.counts[Outcome.REJECTED],
            unknown=self.counts[Outcome.UNKNOWN],
            returned=self.returned,
        )

    def __repr__(self) -> str:
        return (
            f"<{self.name} {self.health.state.value}: {self.busy} busy, {len(self.idle)} idle,"
            f" {self.connecting} connecting of {self.relay.connections}>"
        )
