"""The targets, by name. Each takes any bytes, and raises when campaignd does what it must not.

Importing this imports the code under test: under atheris it happens while imports are
instrumented.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from tests.fuzz.targets import (
    address,
    campaign,
    compose,
    config,
    csv,
    derive,
    headers,
    jsonl,
    machine,
    relay,
    reply,
    report,
    session,
    template,
)


class Target(NamedTuple):
    """One thing to fuzz."""

    run: Callable[[bytes], None]
    longest: int
    """Octets of input; more makes the search slow and finds nothing new."""
    tries: int
    """Mutations that `make test` runs: about a second's worth."""


TARGETS: Final[Mapping[str, Target]] = MappingProxyType(
    {
        "address": Target(address.run, 400, 4_000),
        "campaign": Target(campaign.run, 2_000, 300),
        "compose": Target(compose.run, 600, 500),
        "config": Target(config.run, 1_200, 1_500),
        "csv": Target(csv.run, 600, 1_000),
        "derive": Target(derive.run, 1_500, 2_000),
        "headers": Target(headers.run, 600, 500),
        "jsonl": Target(jsonl.run, 600, 700),
        "machine": Target(machine.run, 500, 3_000),
        "relay": Target(relay.run, 16, 3),
        "reply": Target(reply.run, 800, 1_500),
        "report": Target(report.run, 2_000, 2_000),
        "session": Target(session.run, 500, 1_500),
        "template": Target(template.run, 800, 2_000),
    }
)
