"""The largest campaign that can be, in a server with its default limits."""

from __future__ import annotations

from collections.abc import Callable

from campaignd.compose import CampaignSpec, decode_spec, encode_spec
from campaignd.compose.attachments import MAX_OCTETS
from campaignd.compose.spec import MAX_SPEC_OCTETS, Attached
from campaignd.store import campaigns, shards
from campaignd.store.db import Database


def test_the_largest_campaign_is_stored(with_store: Callable[..., None]) -> None:
    files = [Attached("x.bin", "application/octet-stream", bytes(MAX_OCTETS))]
    spec = CampaignSpec(
        name="n", account="a", sender="a@b.example", subject="s", html="", attachments=files
    )
    quotes = '"' * ((MAX_SPEC_OCTETS - len(encode_spec(spec))) // 2)  # four octets in a statement
    spec = CampaignSpec(
        name="n", account="a", sender="a@b.example", subject="s", html=quotes, attachments=files
    )

    async def work(db: Database) -> None:
        campaign = await campaigns.create(
            db,
            account="acme",
            name="n",
            spec=encode_spec(spec),
            key=None,
            fingerprint="f",
            now=1.0,
        )
        stored = await shards.content(db, campaign)
        assert decode_spec(stored.spec) == spec

    with_store(work)
