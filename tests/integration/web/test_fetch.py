"""Fetching a certificate, from a server that has one of its own."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from campaignd.web.webhooks import fetch
from campaignd.web.webhooks.fetch import MAX_OCTETS, FetchOutage
from tests.fakes.certificates import Authority


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        paths = {"/file.pem": (200, b"certificate"), "/large": (200, b"x" * (2 * MAX_OCTETS))}
        status, body = paths.get(self.path, (404, b"none"))
        if self.path == "/elsewhere":
            status = 302
        self.send_response(status)
        self.send_header("Location", "/file.pem")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        try:
            self.wfile.write(body)
        except OSError:
            pass

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """The only one that is trusted."""
    made = Authority(tmp_path)
    default = ssl.create_default_context
    monkeypatch.setattr(ssl, "create_default_context", lambda: default(cafile=str(made.file)))
    return made


@contextmanager
def serving(context: ssl.SSLContext) -> Iterator[str]:
    """A web server; yields its host and port."""
    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"localhost:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def got(host: str, path: str) -> bytes:
    return asyncio.run(fetch.fetch(host, path))


def test_what_is_there(authority: Authority) -> None:
    with serving(authority.server("localhost")) as host:
        assert got(host, "/file.pem") == b"certificate"
        assert len(got(host, "/large")) == MAX_OCTETS


@pytest.mark.parametrize(("path", "status"), [("/nosuch", 404), ("/elsewhere", 302)])
def test_what_is_not_or_somewhere_else(authority: Authority, path: str, status: int) -> None:
    with (
        serving(authority.server("localhost")) as host,
        pytest.raises(FetchOutage, match=f"status {status}"),
    ):
        got(host, path)


def test_another_server_than_we_meant(authority: Authority, tmp_path: Path) -> None:
    strange = Authority(tmp_path, "strange")
    for context in (authority.server("evil.example"), strange.server("localhost")):
        with (
            serving(context) as host,
            pytest.raises(FetchOutage, match="CERTIFICATE_VERIFY_FAILED"),
        ):
            got(host, "/file.pem")


def test_nobody_there(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(authority.server("localhost")) as host:
        pass
    with pytest.raises(FetchOutage, match="refused"):
        got(host, "/file.pem")
