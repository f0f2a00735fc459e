"""Campaigns and configurations for lint to look at; as they stand, nothing is wrong with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from campaignd.compose.spec import CampaignSpec, Source
from campaignd.config import Bounces, Config, Links
from campaignd.lint import Finding

HTML = """\
<!doctype html>
<html lang="en">
<p>Dear {{ name }}</p>
<p><a href="https://acme.example/">Come</a> or <a href="{{ unsubscribe_url }}">unsubscribe</a></p>
</html>
"""


def campaign(**changes: Any) -> CampaignSpec:
    given: dict[str, Any] = {
        "name": "Spring",
        "account": "acme",
        "sender": "Acme <news@acme.example>",
        "envelope_sender": None,
        "subject": "Hi {{ name }}",
        "html": HTML,
        "sources": {
            "from": Source("c.toml", 3),
            "subject": Source("c.toml", 4),
            "html": Source("c.html"),
            "text": Source("c.txt"),
        },
    }
    return CampaignSpec(**(given | changes))


def configuration(**changes: Any) -> Config:
    given: dict[str, Any] = {
        "links": Links(url="https://links.acme.example", key_files=["links.key"]),
        "bounces": Bounces(domain="bounces.acme.example"),
    }
    return Config(**(given | changes))


def ids(findings: Sequence[Finding]) -> list[str]:
    return [finding.rule.id for finding in findings]
