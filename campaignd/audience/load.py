"""Enqueues a campaign: freezes its audience in MySQL, and only then lets daemons see it."""

from __future__ import annotations

import functools
import hashlib
import time
from collections.abc import Awaitable, Callable
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Final, NamedTuple

import orjson

from campaignd.audience import query as queries
from campaignd.audience.check import check
from campaignd.audience.feed import Feed, Report
from campaignd.audience.prepare import prepare
from campaignd.audience.rejects import RejectsFile
from campaignd.audience.rows import joined
from campaignd.audience.source import HEAD_OCTETS, FileSource, QuerySource, Source, opened
from campaignd.compose.links import Links
from campaignd.compose.spec import CampaignSpec, encode_spec
from campaignd.errors import CampaignError, StoreOutage, UsageError
from campaignd.model import CampaignState
from campaignd.store import audience, campaigns
from campaignd.store.audience import Loader, Progress
from campaignd.store.campaigns import Existing
from campaignd.store.db import Database

KEY_LENGTH: Final = 128
"""Characters; the width of the column."""

FARTHEST_START: Final = 2 * 366 * 86_400
"""Seconds ahead that `--at` may lie: farther is a slip of the pen."""


class EnqueueResult(NamedTuple):
    """What an enqueue came to."""

    id: int
    total: int
    """Recipients in the audience."""
    invalid: int
    duplicates: int
    state: CampaignState
    existed: bool
    """The key had been enqueued before; nothing was changed now."""
    rejects_path: Path | None
    """Where the rows that are not used stand, if there are any."""
    seconds: float


class _Order(NamedTuple):
    """What a load needs to know, whether of a file or of a query."""

    db: Database
    spec: CampaignSpec
    links: Links | None
    key: str | None
    at: float | None
    draft: bool
    rejects: RejectsFile
    clock: Callable[[], float]
    report: Report | None


_Load = Callable[[int, Progress, list[str]], Awaitable[Progress]]
"""Loads the audience of a campaign from where an earlier load stopped, given the fields that one
knew; returns how far it came."""


async def enqueue(
    db: Database,
    spec: CampaignSpec,
    source: Source,
    *,
    links: Links | None = None,
    key: str | None = None,
    at: float | None = None,
    draft: bool = False,
    rejects_path: Path | None = None,
    clock: Callable[[], float] = time.time,
    progress: Report | None = None,
) -> EnqueueResult:
    """Loads an audience; then the campaign runs, or waits for `at` (epoch seconds), or for
    `start` if it is a `draft`.

    With a `key`, a repeated call goes on where a killed one stopped, or reports what is there.
    Without one, whatever fails leaves nothing behind. Rejected rows go to `rejects_path`, by
    default a file named after the source in the working directory. `progress` is called after
    each batch with the input rows and, for a file, the octets done. `links` are those that the
    messages will have.

    Raises UsageError (also CampaignError and TemplateError: then nothing is left behind) and
    StoreOutage.
    """
    begun = time.monotonic()
    _check_request(key, at, draft, clock())
    rejects = RejectsFile(rejects_path or Path(f"{source.label}.rejects.csv"))
    order = _Order(db, spec, links, key, at, draft, rejects, clock, progress)
    try:
        if isinstance(source, FileSource):
            result = await _enqueue_file(order, source)
        else:
            result = await _enqueue_query(order, source)
    finally:
        rejects.close()
    return result._replace(seconds=time.monotonic() - begun)


async def _enqueue_file(order: _Order, source: FileSource) -> EnqueueResult:
    with opened(source) as data:
        await data.read_head()
        checked = _first_look(order, source, data.head)

        async def load(campaign: int, done: Progress, fields: list[str]) -> Progress:
            loader = Loader(order.db, campaign, done)
            feed = Feed(
                data,
                source.reader(fields),
                loader,
                order.rejects,
                check=None if checked else functools.partial(check, order.spec, order.links),
                report=order.report,
                clock=order.clock,
            )
            await feed.run()
            return loader.progress

        return await _enqueue(order, data.fingerprint(encode_spec(order.spec)), load)


async def _enqueue_query(order: _Order, source: QuerySource) -> EnqueueResult:
    query = await queries.inspect(order.db, source.query)
    check(order.spec, order.links, query.fields, ())

    async def load(campaign: int, done: Progress, fields: list[str]) -> Progress:
        # The query may yield other rows now than before: there is nothing to go on from.
        await audience.restart(order.db, campaign, done)
        return await queries.load(
            order.db,
            campaign,
            query,
            order.rejects,
            check=functools.partial(check, order.spec, order.links),
            report=order.report,
            clock=order.clock,
        )

    fingerprint = hashlib.sha256(encode_spec(order.spec) + b"\0query\0" + query.text.encode())
    return await _enqueue(order, fingerprint.hexdigest(), load)


def _first_look(order: _Order, source: FileSource, head: bytes) -> bool:
    """Tries the header, the templates and the first recipients before anything is stored; says
    whether there were recipients to try."""
    reader = source.reader([])
    parts = [reader.feed(head)]
    if len(head) < HEAD_OCTETS:
        parts.append(reader.finish())
    recipients = prepare(joined(parts)).recipients
    if reader.fields or recipients:
        check(order.spec, order.links, reader.fields, recipients.values())
    return bool(recipients)


async def _enqueue(order: _Order, fingerprint: str, load: _Load) -> EnqueueResult:
    db, spec, key = order.db, order.spec, order.key
    async with audience.exclusive(db, spec.account, key) if key else nullcontext():
        existing = await campaigns.by_key(db, spec.account, key) if key else None
        done = Progress()
        fields: list[str] = []
        if existing is None:
            campaign = await _create(order, fingerprint)
        else:
            campaign = existing.campaign.id
            if existing.fingerprint != fingerprint:
                raise UsageError(
                    f"the key {key!r} belongs to campaign {campaign}, which has other content or"
                    " recipients; use a new key"
                )
            if existing.campaign.state is not CampaignState.LOADING:
                return _report(existing)
            done, fields = _resumed(existing)
        try:
            done = await load(campaign, done, fields)
            state = await _finish(order, campaign, done)
        except BaseException as failure:
            if key is None or isinstance(failure, CampaignError):
                with suppress(StoreOutage, UsageError):
                    await campaigns.abandon(db, campaign, order.clock())
            raise
    path = order.rejects.path
    return EnqueueResult(
        campaign, done.total, done.invalid, done.duplicates, state, False, path, 0.0
    )


async def _create(order: _Order, fingerprint: str) -> int:
    spec = order.spec
    return await campaigns.create(
        order.db,
        account=spec.account,
        name=spec.name,
        spec=encode_spec(spec),
        key=order.key,
        fingerprint=fingerprint,
        now=order.clock(),
    )


async def _finish(order: _Order, campaign: int, done: Progress) -> CampaignState:
    if not done.total:
        where = f"; see {order.rejects.path}" if order.rejects.path else ""
        raise CampaignError(f"none of {done.input_rows} rows is a valid recipient{where}")
    now = order.clock()
    state = first_state(now, order.at, order.draft)
    await audience.complete(
        order.db,
        campaign,
        done,
        state,
        starts_at=order.at,
        started_at=now if state is CampaignState.RUNNING else None,
    )
    return state


def first_state(now: float, at: float | None, draft: bool) -> CampaignState:
    """The state of a campaign whose audience is complete."""
    if draft:
        return CampaignState.DRAFT
    if at is not None and at > now:
        return CampaignState.SCHEDULED
    return CampaignState.RUNNING


def _resumed(existing: Existing) -> tuple[Progress, list[str]]:
    found = existing.campaign
    done = Progress(found.total, found.input_rows, found.invalid_rows, found.duplicate_rows)
    return done, orjson.loads(existing.fields)


def _report(existing: Existing) -> EnqueueResult:
    found = existing.campaign
    return EnqueueResult(
        found.id,
        found.total,
        found.invalid_rows,
        found.duplicate_rows,
        found.state,
        existed=True,
        rejects_path=None,
        seconds=0.0,
    )


def _check_request(key: str | None, at: float | None, draft: bool, now: float) -> None:
    if key is not None and (not 0 < len(key) <= KEY_LENGTH or key != key.strip()):
        raise UsageError(f"--key: takes 1 to {KEY_LENGTH} characters, no space at either end")
    if at is not None and draft:
        raise UsageError("use --at or --draft, not both: a draft waits for `start`")
    if at is not None and at - now > FARTHEST_START:
        raise UsageError("--at: the time is more than two years ahead")
