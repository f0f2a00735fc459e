"""Tries a campaign on the first rows of its real audience, before anything can be sent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final

import orjson

from campaignd.compose.composer import Composer
from campaignd.compose.links import Links
from campaignd.compose.spec import CampaignSpec
from campaignd.errors import CampaignError, RowError
from campaignd.store.audience import Recipient

ROWS: Final = 20
"""Recipients that the campaign is composed for."""

_DATE: Final = b"Thu, 01 Jan 1970 00:00:00 +0000"


def check(
    spec: CampaignSpec,
    links: Links | None,
    fields: Sequence[str],
    recipients: Iterable[Recipient],
) -> None:
    """Compiles the campaign for these fields and composes it for the first ROWS recipients.

    One that lacks a field is no fault of the campaign; if all do, it is. Raises TemplateError if
    the templates do not fit the fields, CampaignError if no recipient can be composed.
    """
    composer = Composer(spec, 0, fields, links)
    reason, composed = None, 0
    for seq, (_, _, mailbox, values) in enumerate(islice(recipients, ROWS), 1):
        try:
            composer.compose(0, seq, mailbox, orjson.loads(values), date=_DATE, eight_bit=True)
        except RowError as error:
            reason = str(error)
        else:
            composed += 1
    if reason is not None and not composed:
        raise CampaignError(f"none of the first recipients can be composed: {reason}")
