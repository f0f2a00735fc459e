"""Campaign records, transitions and counts on a real server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from campaignd.errors import TransitionError, UsageError
from campaignd.model import CampaignState, Counts
from campaignd.store import audience, campaigns
from campaignd.store.audience import Batch, Loader, Progress
from campaignd.store.db import Database

Run = Callable[..., None]
S = CampaignState
NOW = 1_800_000_000.25


async def create(db: Database, *, account: str = "acme", key: str | None = None) -> int:
    return await campaigns.create(
        db, account=account, name="Spring ü", spec=b'{"a":"\xc3\xbc"}', key=key,
        fingerprint="f" * 64, now=NOW,
    )  # fmt: skip


async def loaded(
    db: Database, state: CampaignState, *, starts_at: float | None = None, account: str = "acme"
) -> int:
    campaign = await create(db, account=account)
    loader = Loader(db, campaign, Progress())
    keys = [bytes([n]) * 16 for n in range(3)]
    recipients = {key: (n, key, f"{n}@b.de", b"[]") for n, key in enumerate(keys)}
    await loader.add(Batch(recipients, 3, 0, 0, []), NOW, lambda known: None)
    await audience.complete(
        db, campaign, loader.progress, state, starts_at=starts_at, started_at=None
    )
    return campaign


async def force(db: Database, campaign: int, state: CampaignState) -> None:
    async with db.statement() as tx:
        await tx.execute("UPDATE campaigns SET state = %s WHERE id = %s", (state.value, campaign))


def test_create_and_get(with_store: Run) -> None:
    async def work(db: Database) -> None:
        campaign = await create(db, key="k1")
        found = await campaigns.get(db, campaign)
        assert (found.name, found.account, found.key) == ("Spring ü", "acme", "k1")
        assert found.state is S.LOADING
        assert found.created_at == NOW
        assert found.starts_at is None
        with pytest.raises(UsageError, match="has a campaign with the key 'k1' already"):
            await create(db, key="k1")
        assert await create(db, key="k1", account="other") != campaign
        assert await create(db) != await create(db)
        with pytest.raises(UsageError, match="there is no campaign 99"):
            await campaigns.get(db, 99)
        existing = await campaigns.by_key(db, "acme", "k1")
        assert existing is not None
        assert (existing.campaign, existing.fingerprint, existing.fields) == (found, "f" * 64, "[]")
        assert await campaigns.by_key(db, "acme", "k2") is None

    with_store(work)


def test_page(with_store: Run) -> None:
    async def work(db: Database) -> None:
        ids = [await create(db, account=account) for account in ("a", "b", "a", "a")]
        await force(db, ids[3], S.RUNNING)

        async def seen(**filters: object) -> list[int]:
            return [c.id for c in await campaigns.page(db, **filters)]  # type: ignore[arg-type]

        assert await seen() == ids[::-1]
        assert await seen(account="a") == [ids[3], ids[2], ids[0]]
        assert await seen(state=S.LOADING, account="a") == [ids[2], ids[0]]
        assert await seen(limit=2) == [ids[3], ids[2]]
        assert await seen(limit=2, before=ids[2]) == [ids[1], ids[0]]

    with_store(work)


@pytest.mark.parametrize("state", list(CampaignState))
@pytest.mark.parametrize("command", list(campaigns.TRANSITIONS))
def test_every_command_in_every_state(with_store: Run, command: str, state: S) -> None:
    async def act(db: Database, campaign: int) -> campaigns.Campaign:
        if command == "start":
            return await campaigns.start(db, campaign, NOW)
        if command == "pause":
            return await campaigns.pause(db, campaign, reason="paused by anna@ops1")
        if command == "resume":
            return await campaigns.resume(db, campaign)
        return await campaigns.cancel(db, campaign, NOW, reason="cancelled by anna@ops1")

    async def work(db: Database) -> None:
        campaign = await loaded(db, S.DRAFT)
        await force(db, campaign, state)
        sources, target = campaigns.TRANSITIONS[command]
        if state in sources:
            changed = await act(db, campaign)
            assert changed.state is target
            assert changed == await campaigns.get(db, campaign)
            assert ("anna" in changed.reason) == (command in ("pause", "cancel"))
            assert (changed.started_at == NOW) == (command == "start")
            assert (changed.finished_at == NOW) == (command == "cancel")
        else:
            with pytest.raises(TransitionError, match=f"campaign {campaign} is {state.value}"):
                await act(db, campaign)
            assert (await campaigns.get(db, campaign)).state is state
        with pytest.raises(UsageError, match="there is no campaign 99"):
            await act(db, 99)

    with_store(work)


def test_of_two_commands_at_once_one_succeeds(with_store: Run) -> None:
    async def work(db: Database) -> None:
        campaign = await loaded(db, S.DRAFT)
        results = await asyncio.gather(
            *(campaigns.start(db, campaign, NOW) for _ in range(4)), return_exceptions=True
        )
        assert sum(isinstance(result, campaigns.Campaign) for result in results) == 1
        assert sum(isinstance(result, TransitionError) for result in results) == 3

    with_store(work)


def test_cancel_while_loading_deletes_the_partial_audience(with_store: Run) -> None:
    async def work(db: Database) -> None:
        other = await loaded(db, S.DRAFT)
        campaign = await create(db, key="k")
        loader = Loader(db, campaign, Progress())
        batch = Batch({b"k" * 16: (1, b"k" * 16, "a@b.de", b"[]")}, 1, 0, 0, [])
        await loader.add(batch, NOW, lambda known: None)
        cancelled = await campaigns.cancel(db, campaign, NOW)
        assert (cancelled.state, cancelled.total, cancelled.key) == (S.CANCELLED, 0, None)
        with pytest.raises(UsageError, match="was cancelled"):
            await loader.add(batch, NOW, lambda known: None)
        with pytest.raises(UsageError, match="was cancelled"):
            await audience.complete(
                db, campaign, loader.progress, S.RUNNING, starts_at=None, started_at=NOW
            )
        async with db.statement() as tx:
            assert await tx.fetch("SELECT DISTINCT campaign_id FROM recipients") == ((other,),)
            assert await tx.fetch("SELECT DISTINCT campaign_id FROM shards") == ((other,),)
        assert await create(db, key="k") != campaign

    with_store(work)


def test_due_starts_what_is_scheduled(with_store: Run) -> None:
    async def work(db: Database) -> None:
        assert await campaigns.next_start(db) is None
        first = await loaded(db, S.SCHEDULED, starts_at=NOW)
        second = await loaded(db, S.SCHEDULED, starts_at=NOW + 60)
        draft = await loaded(db, S.DRAFT, starts_at=NOW)
        assert await campaigns.next_start(db) == NOW
        assert await campaigns.due(db, NOW - 0.001) == 0
        assert await campaigns.due(db, NOW + 1) == 1
        assert await campaigns.due(db, NOW + 1) == 0
        started = await campaigns.get(db, first)
        assert (started.state, started.started_at) == (S.RUNNING, NOW + 1)
        assert (await campaigns.get(db, draft)).state is S.DRAFT
        assert await campaigns.next_start(db) == NOW + 60
        assert (await campaigns.start(db, second, NOW + 2)).state is S.RUNNING

    with_store(work)


def test_counts_add_up_over_shards(with_store: Run) -> None:
    async def work(db: Database) -> None:
        first, second = await loaded(db, S.RUNNING), await loaded(db, S.RUNNING)
        async with db.statement() as tx:
            await tx.execute("UPDATE campaigns SET total = 100 WHERE id = %s", (first,))
            await tx.execute(
                "UPDATE shards SET deferred=1, accepted=2, rejected=3, expired=4, suppressed=5,"
                " `unknown`=6, maybe_duplicates=7 WHERE campaign_id = %s", (first,)
            )  # fmt: skip
            await tx.execute(
                "INSERT INTO shards (campaign_id, shard, size, due_at, accepted, maybe_duplicates)"
                " VALUES (%s, 1, 10, NOW(), 10, 1)", (first,)
            )  # fmt: skip
        found = await campaigns.counts(db, [first, second, 99])
        assert set(found) == {first, second}
        assert found[first].counts == Counts(100, 69, 1, 12, 3, 4, 5, 6)
        assert found[first].maybe_duplicates == 8
        assert found[second].counts == Counts(3, 3, 0, 0, 0, 0, 0, 0)
        assert await campaigns.counts(db, []) == {}

    with_store(work)
