"""Compares the ledger with what the receiver took. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from campaignd.sandbox.sinklog import Accepted


class Agreement(NamedTuple):
    """What both sides say, as far as it differs; addresses, sorted."""

    accepted: int
    """Recipients that the ledger calls accepted."""
    lost: list[str]
    """The ledger says accepted, the receiver has nothing."""
    unrecorded: list[str]
    """The receiver has a message, the ledger does not say accepted."""
    doubled: list[str]
    """The receiver has more than one message."""
    mixed_up: list[str]
    """The receiver has a message with the Message-ID of another recipient's."""
    retried: int
    """Recipients that were accepted after a deferral."""

    @property
    def exact(self) -> bool:
        """Whether nothing differs."""
        return not (self.lost or self.unrecorded or self.doubled or self.mixed_up)

    def differences(self) -> list[str]:
        """One line for each kind of difference, with examples."""
        kinds = (
            ("accepted in the ledger, but never arrived", self.lost),
            ("arrived, but not accepted in the ledger", self.unrecorded),
            ("arrived more than once", self.doubled),
            ("arrived with another recipient's Message-ID", self.mixed_up),
        )
        return [
            f"{len(found):,} {what}, such as {', '.join(found[:3])}"
            for what, found in kinds
            if found
        ]


def reconcile(attempts: Iterable[Mapping[str, Any]], arrived: Iterable[Accepted]) -> Agreement:
    """`attempts` are the lines of `outcomes --format jsonl`, `arrived` the sink's log."""
    accepted: set[str] = set()
    deferred: set[str] = set()
    for line in attempts:
        if line["outcome"] == "accepted":
            accepted.add(line["address"])
        elif line["outcome"] == "deferred":
            deferred.add(line["address"])
    messages: Counter[str] = Counter()
    owners: dict[str, str] = {}
    mixed_up = set()
    for message in arrived:
        messages[message.recipient] += 1
        if owners.setdefault(message.message_id, message.recipient) != message.recipient:
            mixed_up.add(message.recipient)
    return Agreement(
        accepted=len(accepted),
        lost=sorted(accepted - messages.keys()),
        unrecorded=sorted(messages.keys() - accepted),
        doubled=sorted(address for address, count in messages.items() if count > 1),
        mixed_up=sorted(mixed_up),
        retried=len(accepted & deferred),
    )
