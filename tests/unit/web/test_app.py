"""What holds for every answer."""

from __future__ import annotations

import io
import logging

import pytest

from campaignd import events
from campaignd.web import app
from tests.unit.web.site import Site, token


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", f"/u/{token()}"), ("POST", f"/u/{token()}"), ("GET", "/u/x"), ("GET", "/"),
     ("GET", "/metrics"), ("GET", "/favicon.ico"), ("POST", "/"), ("PUT", f"/u/{token()}"),
     ("POST", "/webhooks/nosuch"), ("POST", "/webhooks/nosuch/"), ("GET", "/webhooks/nosuch")],
)  # fmt: skip
def test_headers_of_every_answer(method: str, path: str) -> None:
    answer = Site().request(method, path)
    for name, value in app.HEADERS.items():
        assert answer.headers[name] == value
    assert "server" not in answer.headers
    assert "set-cookie" not in answer.headers
    assert "location" not in answer.headers


@pytest.mark.parametrize("path", ["/metrics", "/healthz", "/readyz", "/docs", "/u", "/webhooks"])
def test_nothing_else_is_public(path: str) -> None:
    assert Site().get(path).status_code == 404


def test_a_bug_is_logged_and_not_shown() -> None:
    stream = io.StringIO()
    log = logging.getLogger("campaignd")
    before = log.handlers[:]
    try:
        events.setup(stream)
        site = Site()
        site.memory.away = RuntimeError("secret inside")
        answer = site.post(f"/u/{token()}")
    finally:
        log.handlers[:] = before
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert "RuntimeError" in stream.getvalue()
    assert token() not in stream.getvalue()
