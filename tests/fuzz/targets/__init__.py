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
    reply,
    session,
    template,
)


class Target(NamedTuple):
    """One thing to fuzz."""

    run: Callable[[bytes], None]
    longest: int
    """Octets of input; more makes the search slow and finds nothing new."""


TARGETS: Final[Mapping[str, Target]] = MappingProxyType(
    {
        "address": Target(address.run, 400),
        "campaign": Target(campaign.run, 2_000),
        "compose": Target(compose.run, 600),
        "config": Target(config.run, 1_200),
        "csv": Target(csv.run, 600),
        "derive": Target(derive.run, 1_500),
        "headers": Target(headers.run, 600),
        "jsonl": Target(jsonl.run, 600),
        "machine": Target(machine.run, 500),
        "reply": Target(reply.run, 800),
        "session": Target(session.run, 500),
        "template": Target(template.run, 800),
    }
)
