"""`campaignd web`: links and webhooks from the outside, outages, and the end."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from email import message_from_string
from email.policy import default
from pathlib import Path

import httpx
import pytest

from campaignd.config import Links, Web, Webhook
from campaignd.sandbox.box import Sandbox
from campaignd.tokens import Purpose
from tests.e2e.site import Site
from tests.e2e.webserver import WebProcess, suppressed, token

ONE_CLICK = {"List-Unsubscribe": "One-Click"}


@pytest.fixture
def web(site: Site) -> Iterator[WebProcess]:
    with WebProcess(site) as process:
        yield process


def test_one_click(site: Site, web: WebProcess) -> None:
    campaign = site.enqueue(3, "--draft", "--no-lint")
    for _ in range(2):
        assert httpx.get(web.link(campaign, 2)).status_code == 200
    assert suppressed(site) == []
    answer = httpx.post(web.link(campaign, 2), data=ONE_CLICK)
    assert answer.status_code == 200
    [(account, address)] = suppressed(site)
    assert (account, address.partition("@")[0]) == ("acme", "u1")
    assert httpx.post(web.link(campaign, 2), data=ONE_CLICK).status_code == 200
    assert httpx.post(web.link(campaign + 1), data=ONE_CLICK).status_code == 410
    assert httpx.post(web.link(campaign)[:-1]).status_code == 404
    assert len(suppressed(site)) == 1


def test_whoever_left_gets_nothing(site: Site, web: WebProcess) -> None:
    campaign = site.enqueue(3, "--draft", "--no-lint")
    httpx.post(web.link(campaign, 2), data=ONE_CLICK)
    site.daemon(web.config)
    site.ok("start", str(campaign))
    counts = site.until_state(campaign, "finished")["counts"]
    assert (counts["accepted"], counts["suppressed"]) == (2, 1)


def test_a_webhook(site: Site) -> None:
    secret, password = site.folder / "postmark", "3f19c09b4cf8e2a7"
    secret.write_text(f"hook:{password}\n")
    secret.chmod(0o600)
    hook = Webhook(name="postmark", provider="postmark", secret_file=secret.name)
    campaign = site.enqueue(2, "--draft", "--no-lint")
    record = {
        "RecordType": "Bounce",
        "Type": "HardBounce",
        "Metadata": {"campaignd": token(campaign, 2, Purpose.RETURN)},
        "Details": "smtp;550 5.1.1 The email account that you tried to reach does not exist.",
        "BouncedAt": "2026-04-27T16:28:50.3963933-04:00",
    }
    with WebProcess(site, webhook=[hook]) as web:
        url = f"{web.url}/webhooks/postmark"
        assert httpx.post(url, json=record).status_code == 401
        assert suppressed(site) == []
        assert httpx.post(url, json=record, auth=("hook", password)).status_code == 200
        assert [address.partition("@")[0] for _, address in suppressed(site)] == ["u1"]
        assert site.query("SELECT seq, source, enhanced FROM events") == ((2, "postmark", "5.1.1"),)
        metrics = httpx.get(f"http://127.0.0.1:{web.http_port}/metrics").text
    assert 'campaignd_webhook_notices_total{result="recorded",webhook="postmark"} 1.0' in metrics


def test_headers_for_providers(site: Site) -> None:
    """As docs/operations.md has them: what the providers read out of them is our token."""
    guide = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
    [headers] = re.findall(r"^```toml\n(\[headers\]\n.*?)^```", guide, re.DOTALL | re.MULTILINE)
    file = site.folder / site.campaign()
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[: lines.index("[retry]\n")]) + headers)
    source = site.audience(1)
    config = WebProcess(site).config
    done = site.run("preview", file.name, "--recipients", source, "--row", "1", config=config)
    message = message_from_string(done.stdout, policy=default)
    marks = [
        json.loads(message["X-SMTPAPI"])["unique_args"]["campaignd"],
        message["X-PM-Metadata-campaignd"],
        json.loads(message["X-Mailgun-Variables"])["campaignd"],
    ]
    assert re.fullmatch(r"[0-9a-f]{50}", marks[0]), done.stderr
    assert set(marks) == {marks[0]}


def test_the_public_listener_has_nothing_internal(web: WebProcess) -> None:
    for path in ("metrics", "healthz", "readyz"):
        assert httpx.get(f"{web.url}/{path}").status_code == 404
        assert httpx.get(f"http://127.0.0.1:{web.http_port}/{path}").status_code == 200


def test_sigterm_ends_it_at_once(web: WebProcess) -> None:
    with httpx.Client() as client:
        client.get(web.url)  # and keeps the connection
        started = time.monotonic()
        assert web.terminate() == 0
    assert time.monotonic() - started < 5
    assert '"stopped"' in web.log.read_text()


def test_nothing_personal_is_logged(site: Site, web: WebProcess) -> None:
    campaign = site.enqueue(1, "--draft", "--no-lint")
    httpx.post(web.link(campaign), data=ONE_CLICK)
    httpx.get(web.link(campaign) + "/x")
    log = web.log.read_text()
    assert token(campaign) not in log
    assert "@" not in log
    assert "127.0.0.1" not in log


def test_without_mysql(tmp_path: Path, migrate: Callable[[str], None]) -> None:
    """Pages are shown, a POST is told to come again, and nothing needs a restart."""
    with Sandbox() as box:
        url = box.create_database()
        migrate(url)
        with Site(box, url, tmp_path) as site:
            campaign = site.enqueue(1, "--draft", "--no-lint")
            box.mariadb.stop()
            with WebProcess(site) as web:
                ready = f"http://127.0.0.1:{web.http_port}/readyz"
                assert httpx.get(web.link(campaign)).status_code == 200
                answer = httpx.post(web.link(campaign), data=ONE_CLICK, timeout=60)
                assert (answer.status_code, answer.headers["retry-after"]) == (503, "60")
                assert httpx.get(ready).status_code == 503
                box.mariadb.start()
                assert httpx.post(web.link(campaign), data=ONE_CLICK).status_code == 200
                site.until(lambda: httpx.get(ready).status_code == 200, "ready")
                assert len(suppressed(site)) == 1


@pytest.mark.parametrize(
    ("section", "line"),
    [
        ({"links": Links()}, "[links] key_files: name the files with which `run` signs links"),
        ({"web": Web(trusted_proxies=["proxy"])}, "[web] trusted_proxies: 'proxy' is no address"),
        ({"web": Web(theme="nowhere")}, "[web] theme: "),
        (
            {"webhook": [Webhook(name="m", provider="mailgun", secret_file="nowhere")]},
            "key file ",
        ),
        ({"webhook": [Webhook(name="s", provider="ses", topics=["mail"])]}, "webhook s: topics: "),
        (
            {"webhook": [Webhook(name="g", provider="sendgrid", secret_file="links.key")]},
            "webhook g, ",
        ),
    ],
)
def test_mistakes_get_one_line(site: Site, section: dict[str, object], line: str) -> None:
    web = WebProcess(site, **section)
    assert site.refused("web", config=web.config).startswith(line)
