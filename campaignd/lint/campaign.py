"""Puts the rules together: what `lint` says, and the part of it that `enqueue` asks for."""

from __future__ import annotations

from contextlib import suppress

from campaignd.audience.source import FileSource
from campaignd.compose.composer import Composer
from campaignd.compose.links import MERGE_FIELDS, Links, trial_links
from campaignd.compose.spec import CampaignSpec
from campaignd.compose.template import Origin
from campaignd.config import Config
from campaignd.errors import TemplateError
from campaignd.lint.content import content
from campaignd.lint.keys import keys
from campaignd.lint.recipients import recipients
from campaignd.lint.records import records
from campaignd.lint.rules import Finding, Level
from campaignd.lint.sender import sender, unsubscribe
from campaignd.lint.source import names, sources


async def check(
    spec: CampaignSpec,
    config: Config,
    source: FileSource | None,
    *,
    dns: bool = False,
    resolver: str | None = None,
) -> list[Finding]:
    """All findings, errors first; those on recipients and on the DNS only if `source` and `dns`
    ask for them. `resolver` is HOST or HOST:PORT.

    Raises TemplateError for a template that does not compile, UsageError for recipients that
    cannot be read.
    """
    found = offline(spec, config)
    if source is not None:
        found += await recipients(spec, source, trial_links(config))
    if dns:
        found += await records(spec, config, resolver)
    return _in_order(found)


def offline(spec: CampaignSpec, config: Config) -> list[Finding]:
    """What can be said without recipients and without a network, errors first. Takes some
    milliseconds. Raises TemplateError for a template that does not compile."""
    _compile(spec, trial_links(config))
    found = [*sender(spec), *keys(spec, config), *unsubscribe(spec, config), *content(spec)]
    return _in_order(found)


def _in_order(findings: list[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda finding: finding.rule.level is not Level.ERROR)


def _compile(spec: CampaignSpec, links: Links | None) -> None:
    """Raises TemplateError. Every field that is used is taken to exist."""
    fields: set[str] = set()
    for source in sources(spec):
        with suppress(TemplateError):  # the composer says it with its place
            fields |= names(source, Origin("", ""))
    Composer(spec, 0, sorted(fields.difference(MERGE_FIELDS, ("email",))), links)
