"""What holds for the webhooks of all providers."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from campaignd import metrics
from campaignd.errors import StoreOutage, UsageError
from campaignd.feedback import Event
from campaignd.tokens import Purpose, RecipientId
from campaignd.web.body import BodyRefused
from campaignd.web.webhooks import endpoint
from campaignd.web.webhooks.endpoint import MAX_BODY
from campaignd.web.webhooks.notice import Incoming, Notice, forged
from tests.unit.web.site import Site, token


class Anybody:
    """A provider that believes everything but one word."""

    async def notices(self, incoming: Incoming) -> Sequence[Notice]:
        if incoming.body == b"forged":
            raise forged()
        return [
            Notice(Event.COMPLAINED, [mark], incoming.now) for mark in json.loads(incoming.body)
        ]


@pytest.fixture
def site() -> Site:
    return Site(providers={"any": Anybody()})


def marks(*recipients: RecipientId) -> bytes:
    return json.dumps([token(each, Purpose.RETURN) for each in recipients]).encode()


def counted(name: str, *labels: str) -> float:
    metric = {"notices": metrics.webhook_notices, "refused": metrics.webhook_refused}[name]
    return float(metric.labels("any", *labels)._value.get())


def test_everything_is_recorded_before_the_answer(site: Site) -> None:
    assert site.notice("any", marks(*(RecipientId(1, 0, seq) for seq in range(30)))) == 200
    assert len(site.memory.taken) == 30


@pytest.mark.parametrize("trouble", [StoreOutage("away"), UsageError("no such table")])
def test_without_mysql_the_provider_tries_again(site: Site, trouble: Exception) -> None:
    site.memory.away = trouble
    answer = site.post("/webhooks/any", content=marks(RecipientId(1, 0, 1)))
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    site.memory.away = None
    assert site.notice("any", marks(RecipientId(1, 0, 1))) == 200
    assert len(site.memory.taken) == 1


def test_an_outage_in_the_middle(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = marks(*(RecipientId(1, 0, seq) for seq in range(20)))
    take = site.memory.take
    calls = 0

    async def failing(*args: object) -> object:
        nonlocal calls
        calls += 1
        if calls == 7:
            raise StoreOutage("away")
        return await take(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(site.memory, "take", failing)
    assert site.notice("any", batch) == 503
    assert len(site.memory.known) < 20
    assert site.notice("any", batch) == 200
    assert len(site.memory.known) == 20


def test_what_is_not_about_a_campaign_is_counted(site: Site) -> None:
    before = [counted("notices", result) for result in ("test", "foreign", "no-campaign")]
    body = [*json.loads(marks(RecipientId(0, 0, 1), RecipientId(99, 0, 1))), "nobody"]
    assert site.notice("any", json.dumps(body).encode()) == 200
    assert site.memory.taken == []
    after = [counted("notices", result) for result in ("test", "foreign", "no-campaign")]
    assert [new - old for new, old in zip(after, before, strict=True)] == [1, 1, 1]


def test_refusals_are_counted(site: Site) -> None:
    before = counted("refused", "signature"), counted("refused", "size")
    assert site.notice("any", b"forged") == 403
    assert site.notice("any", b"x" * (MAX_BODY + 1)) == 413
    assert (counted("refused", "signature"), counted("refused", "size")) == (
        before[0] + 1,
        before[1] + 1,
    )


def test_forgers_do_not_lock_the_provider_out() -> None:
    """They may have the address of the provider: it delivers for all its customers from there. To
    SNS a 4xx is an answer, and the notice would be lost."""
    site = Site(providers={"any": Anybody()}, rate=1.0)
    assert [site.notice("any", b"forged") for _ in range(6)] == [403] * 4 + [429] * 2
    assert site.notice("any", marks(RecipientId(1, 0, 1))) == 200
    assert len(site.memory.taken) == 1


def test_without_room_the_provider_tries_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "ROOM", 1_000)
    site = Site(providers={"any": Anybody()}, rate=1.0)
    assert [site.notice("any", b" " * 1_001) for _ in range(6)] == [503] * 6  # and is no forger
    assert site.notice("any", b"[" + b" " * 998 + b"]") == 200


def test_a_body_that_does_not_come(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    async def slow(*args: object, **options: object) -> bytes:
        raise BodyRefused(408)

    monkeypatch.setattr(endpoint, "read_body", slow)
    before = counted("refused", "slow")
    assert site.notice("any", b"[]") == 503  # to SNS, 408 would be an answer
    assert counted("refused", "slow") == before + 1


def test_success_is_not_limited() -> None:
    site = Site(providers={"any": Anybody()}, rate=1.0)
    assert {site.notice("any", b"[]") for _ in range(50)} == {200}


def test_other_webhooks_and_methods(site: Site) -> None:
    assert site.notice("other", b"[]") == 404
    assert site.get("/webhooks/any").status_code == 404
    assert site.notice("any/x", b"[]") == 405
