"""One-click unsubscribe: what changes something, what does not, and what everybody sees."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaignd.errors import StoreOutage, UsageError
from campaignd.feedback import Event
from campaignd.tokens import Purpose, RecipientId, TokenKeys
from campaignd.web import unsubscribe
from campaignd.web.listener import DRAIN_SECONDS
from tests.unit.web.site import KEYS, SOMEBODY, Site, token

PATIENCE = unsubscribe.PATIENCE_SECONDS
ONE_CLICK = {"List-Unsubscribe": "One-Click"}


@pytest.fixture
def site() -> Site:
    return Site()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unsubscribe, "PATIENCE_SECONDS", 0.05)
    monkeypatch.setattr(unsubscribe, "PAUSE_SECONDS", 0.01)


def test_a_post_unsubscribes_at_once(site: Site) -> None:
    answer = site.post(f"/u/{token()}", data=ONE_CLICK)
    assert answer.status_code == 200
    assert "You are unsubscribed" in answer.text
    [taken] = site.memory.taken
    assert (taken.event, taken.recipient, taken.source) == (
        Event.UNSUBSCRIBED,
        SOMEBODY,
        "one-click",
    )


def test_as_multipart_too(site: Site) -> None:
    """RFC 8058, 3.2, allows both forms."""
    answer = site.post(f"/u/{token()}", files={"List-Unsubscribe": (None, "One-Click")})
    assert answer.status_code == 200
    assert site.memory.taken[0].source == "one-click"


@pytest.mark.parametrize("body", [b"", b"x=y", b"\xff\x00" * 1_000])
def test_it_needs_no_more_than_the_link(site: Site, body: bytes) -> None:
    """No body, no cookie, no header: a proxy on the way may have lost any of them."""
    answer = site.post(f"/u/{token()}", content=body)
    assert answer.status_code == 200
    assert [taken.source for taken in site.memory.taken] == ["page"]


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH"])
def test_nothing_else_unsubscribes(site: Site, method: str) -> None:
    answer = site.request(method, f"/u/{token()}?List-Unsubscribe=One-Click")
    assert site.memory.taken == []
    assert answer.status_code == (200 if method in ("GET", "HEAD") else 405)


def test_the_page_has_a_button(site: Site) -> None:
    answer = site.get(f"/u/{token()}")
    assert '<form method="post"><button type="submit">Unsubscribe</button>' in answer.text
    assert site.request("HEAD", f"/u/{token()}").text == ""


def test_again_is_the_same(site: Site) -> None:
    site.post(f"/u/{token()}", data=ONE_CLICK)
    answer = site.post(f"/u/{token()}", data=ONE_CLICK)
    assert answer.status_code == 200
    assert "You had unsubscribed before" in answer.text


OTHER_KEY = TokenKeys([b"z" * 32])
FORGED = [
    "x",
    "",
    "0" * 50,
    token(keys=OTHER_KEY),
    token(purpose=Purpose.RETURN),
    token()[:-1],
    token() + "0",
    token()[:-1] + ("0" if token()[-1] != "0" else "1"),
    token() + "%2F" + token(),
    "%00" * 50,
    "é" * 50,
    "٣" * 50,
]


@pytest.mark.parametrize("text", FORGED)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_forged_links_reach_no_store(site: Site, method: str, text: str) -> None:
    site.memory.away = AssertionError("looked into the store")
    answer = site.request(method, f"/u/{text}")
    assert answer.status_code == 404
    assert "This link does not work" in answer.text


@given(st.text(max_size=120))
def test_any_text_is_no_token(text: str) -> None:
    site = Site()
    answer = site.post("/u/" + quote(text, safe=""))
    assert answer.status_code in (404, 405)
    assert site.memory.taken == []


@pytest.mark.parametrize("tail", [".", ",", ">", ")", "/", "%3E.", "'"])
def test_punctuation_after_the_link(site: Site, tail: str) -> None:
    assert site.post(f"/u/{token()}{tail}").status_code == 200
    assert len(site.memory.taken) == 1


def test_letter_case_does_not_matter(site: Site) -> None:
    assert site.post(f"/u/{token().upper()}").status_code == 200
    assert site.memory.taken[0].recipient == SOMEBODY


def test_old_keys_are_good_and_removed_ones_not() -> None:
    old = token()
    rotated = Site()
    assert rotated.get(f"/u/{old}").status_code == 200
    assert rotated.get(f"/u/{token(keys=OTHER_KEY)}").status_code == 404


def test_a_purged_campaign(site: Site) -> None:
    link = f"/u/{token(RecipientId(99, 0, 1))}"
    assert site.get(link).status_code == 200  # nobody has looked yet
    answer = site.post(link)
    assert answer.status_code == 410
    assert "reply to the message and ask to be unsubscribed" in answer.text


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_test_message(site: Site, method: str) -> None:
    answer = site.request(method, f"/u/{token(RecipientId(0, 0, 1))}")
    assert answer.status_code == 200
    assert "This is a test" in answer.text
    assert site.memory.taken == []


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("trouble", [StoreOutage("gone"), UsageError("no such table")])
def test_without_mysql(site: Site, trouble: Exception) -> None:
    site.memory.away = trouble
    assert site.get(f"/u/{token()}").status_code == 200
    answer = site.post(f"/u/{token()}", data=ONE_CLICK)
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert "not unsubscribed yet" in answer.text
    site.memory.away = None
    assert site.post(f"/u/{token()}", data=ONE_CLICK).status_code == 200


@pytest.mark.usefixtures("impatient")
def test_a_frozen_mysql_is_not_waited_for_for_ever(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def frozen(*args: object) -> object:
        await asyncio.sleep(30)
        raise AssertionError("waited")

    monkeypatch.setattr(site.memory, "take", frozen)
    answer = site.post(f"/u/{token()}", data=ONE_CLICK)
    assert answer.status_code == 503
    assert "not unsubscribed yet" in answer.text
    assert PATIENCE < DRAIN_SECONDS  # what waits when the process ends is answered


def test_a_short_outage_is_waited_for(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unsubscribe, "PAUSE_SECONDS", 0.0)
    tries = iter([StoreOutage("away"), StoreOutage("away"), None])
    take = site.memory.take

    async def flaky(*args: object) -> object:
        trouble = next(tries)
        if trouble is not None:
            raise trouble
        return await take(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(site.memory, "take", flaky)
    assert site.post(f"/u/{token()}").status_code == 200
    assert len(site.memory.taken) == 1


def test_too_large_a_body(site: Site) -> None:
    link = f"/u/{token()}"
    assert site.post(link, content=b"x" * unsubscribe.MAX_BODY).status_code == 200
    answer = site.post(link, content=b"x" * (unsubscribe.MAX_BODY + 1))
    assert answer.status_code == 413

    async def chunks() -> AsyncIterator[bytes]:  # without Content-Length
        for _ in range(10):
            yield b"x" * 10_000

    assert site.post(link, content=chunks()).status_code == 413
    assert site.post(link, headers={"Content-Length": "9" * 30}).status_code == 413
    assert len(site.memory.taken) == 1


def test_one_link_is_limited_whoever_uses_it() -> None:
    site = Site(rate=0.25)
    link = f"/u/{token()}"
    assert [site.post(link).status_code for _ in range(3)] == [200, 429, 429]
    answer = site.get(link)
    assert answer.status_code == 429
    assert 0 < int(answer.headers["retry-after"]) <= 4


def test_a_provider_that_unsubscribes_many_is_not_limited() -> None:
    site = Site(rate=0.25)
    links = [f"/u/{token(RecipientId(7, 0, seq))}" for seq in range(200)]
    assert {site.post(link).status_code for link in links} == {200}


def test_guessing_is_limited_and_leaves_good_links_alone() -> None:
    site = Site(rate=1.0)
    guesses = [site.get(f"/u/{seq:050}").status_code for seq in range(8)]
    assert guesses == [404] * 4 + [429] * 4
    assert site.post(f"/u/{token()}").status_code == 200


def test_guesses_are_counted_for_the_client_behind_the_proxy() -> None:
    site = Site(rate=0.25, trusted=["192.0.2.1"])

    def guess(client: str) -> int:
        return site.get("/u/x", headers={"X-Forwarded-For": client}).status_code

    assert [guess("198.51.100.1"), guess("198.51.100.1")] == [404, 429]
    assert guess("198.51.100.2") == 404


def test_languages(site: Site) -> None:
    answer = site.get(f"/u/{token()}", headers={"Accept-Language": "de-DE,en;q=0.5"})
    assert answer.headers["content-language"] == "de"
    assert "Abmelden" in answer.text


def test_below_the_path_of_the_links() -> None:
    site = Site(prefix="/mail")
    assert site.post(f"/mail/u/{token()}").status_code == 200
    assert site.post(f"/u/{token()}").status_code == 200
    assert site.post(f"/other/u/{token()}").status_code == 405


def test_keys_of_the_test_are_what_they_seem() -> None:
    assert KEYS.open(Purpose.UNSUBSCRIBE, token()) == SOMEBODY
