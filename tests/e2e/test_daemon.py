"""The daemon as a process, under signals and without its servers."""

from __future__ import annotations

import signal
import time
import urllib.error
import urllib.request
from pathlib import Path

import msgspec

from campaignd.config import MySQL, Redis, load
from campaignd.sandbox.policy import SinkPolicy
from campaignd.sandbox.supervisor import unused_port
from tests.e2e.site import Site

UNCLEAN = "SELECT COUNT(*) FROM shards WHERE clean = 0"


def test_sigterm_gives_everything_back(site: Site) -> None:
    site.resink(SinkPolicy(delay=0.3))
    campaign = site.enqueue(300)
    daemon = site.daemon()
    site.until_sent(100)
    assert site.query(UNCLEAN) == ((1,),)
    daemon.signal(signal.SIGTERM)
    assert daemon.wait() == 0
    assert [event["clean"] for event in daemon.events("stopped")] == [True]
    assert site.query(UNCLEAN) == ((0,),)
    counts = site.status(campaign)["counts"]
    assert counts["accepted"] == site.sent() < 300
    assert counts["unknown"] == 0
    site.daemon()
    site.until_state(campaign, "finished")
    assert set(site.check_nothing_lost(campaign, 300).values()) == {1}


def test_a_second_sigterm_stops_at_once(site: Site) -> None:
    site.resink(SinkPolicy(delay=20))
    site.enqueue(50)
    daemon = site.daemon()
    site.until_sent(10)
    daemon.signal(signal.SIGTERM)
    site.until(lambda: daemon.events("draining"), "it drains")
    daemon.signal(signal.SIGTERM)
    begun = time.monotonic()
    assert daemon.wait() == 3
    assert time.monotonic() - begun < 4  # neither the sink's 20 s nor the drain's 5 s
    assert site.query(UNCLEAN) == ((1,),)


def test_sighup_takes_over_limits(site: Site) -> None:
    campaign = site.enqueue(400)
    config = site.configure(rate=10)
    daemon = site.daemon(config)
    site.until_sent(5)
    site.until(lambda: "throttled by [limits]" in site.status(campaign)["reason"], "it says why")
    config.write_text("nonsense = 1\n")
    daemon.signal(signal.SIGHUP)
    site.until(lambda: daemon.events("reload-refused"), "a mistake is refused")
    site.configure(rate=None)
    daemon.signal(signal.SIGHUP)
    site.until(lambda: daemon.events("reloaded"), "it is reloaded")
    site.until_state(campaign, "finished")


def test_a_killed_daemon_is_taken_over_without_loss(site: Site) -> None:
    site.resink(SinkPolicy(delay=0.05))
    campaign = site.enqueue(1_000)
    config = site.configure(rate=600)
    first = site.daemon(config)
    site.until_sent(100)
    second = site.daemon(config)
    site.until_sent(250)
    first.kill()
    site.until(lambda: second.events("shard-taken"), "the other one takes over")
    site.until_state(campaign, "finished")
    took = site.check_nothing_lost(campaign, 1_000)
    assert took.total() - 1_000 <= site.status(campaign)["maybe_duplicates"]


def test_keep_never_sends_twice(site: Site) -> None:
    site.resink(SinkPolicy(delay=0.2))
    campaign = site.enqueue(1_000, unknown="keep")
    config = site.configure(rate=800)
    first = site.daemon(config)
    site.until_sent(200)
    first.kill()
    site.daemon(config)
    last = site.until_state(campaign, "finished")
    assert last["counts"]["unknown"] > 0
    assert last["counts"]["accepted"] + last["counts"]["unknown"] == 1_000
    took = [one.recipient for one in site.sink.accepted()]
    assert len(took) == len(set(took))


def test_without_mysql_it_waits_and_says_so(site: Site, tmp_path: Path) -> None:
    campaign = site.enqueue(20)
    socket = tmp_path / "m.sock"
    url = f"mysql://campaignd@/{site.database}?unix_socket={socket}"
    daemon = site.daemon(_changed(site, mysql=MySQL(url=url)))
    site.until(lambda: daemon.events("waiting"), "it says so")
    assert "MySQL" in daemon.events("waiting")[0]["reason"]
    assert daemon.running
    socket.symlink_to(site.box.mariadb.socket)
    site.until_state(campaign, "finished")


def test_without_mysql_it_ends_when_told_to(site: Site, tmp_path: Path) -> None:
    url = f"mysql://campaignd@/{site.database}?unix_socket={tmp_path / 'm.sock'}"
    daemon = site.daemon(_changed(site, mysql=MySQL(url=url)))
    site.until(lambda: daemon.events("waiting"), "it says so")
    daemon.signal(signal.SIGTERM)
    assert daemon.wait() == 0


def test_without_redis_it_waits_and_says_so(site: Site, tmp_path: Path) -> None:
    campaign = site.enqueue(20)
    socket = tmp_path / "r.sock"
    daemon = site.daemon(_changed(site, redis=Redis(url=f"unix://{socket}")))
    site.until(lambda: daemon.events("redis-trouble"), "it says so")
    assert site.status(campaign)["counts"]["pending"] == 20
    socket.symlink_to(site.box.redis.socket)
    site.until_state(campaign, "finished")


def test_the_http_endpoints(site: Site, tmp_path: Path) -> None:
    port = unused_port()
    socket = tmp_path / "m.sock"
    url = f"mysql://campaignd@/{site.database}?unix_socket={socket}"
    config = _changed(site, mysql=MySQL(url=url))
    daemon = site.daemon(config, "--listen", f"127.0.0.1:{port}")

    def get(path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    site.until(lambda: daemon.events("waiting"), "it waits for MySQL")
    assert get("/healthz") == (200, "alive\n")
    status, text = get("/readyz")
    assert status == 503
    assert "MySQL" in text
    socket.symlink_to(site.box.mariadb.socket)
    site.until(lambda: get("/readyz")[0] == 200, "it is ready")
    assert "campaignd_held_shards 0.0" in get("/metrics")[1]


def test_a_relay_that_is_down_is_named(site: Site) -> None:
    campaign = site.enqueue(20)
    site.sink.kill()
    site.daemon()
    site.until(
        lambda: site.status(campaign)["reason"].startswith("relay sink is down: "), "it is named"
    )
    assert "next try in" in site.status(campaign)["reason"]
    site.sink.start()
    site.until_state(campaign, "finished")


def test_two_daemons_share_a_campaign(site: Site) -> None:
    campaign = site.enqueue(20_100)
    config = site.configure(rate=3_000)
    daemons = [site.daemon(config), site.daemon(config)]
    site.until_sent(500)
    site.until(
        lambda: len({line["host"] for line in site.outcomes(campaign)}) == 2, "both have sent"
    )
    for daemon in daemons:
        daemon.signal(signal.SIGTERM)
        assert daemon.wait() == 0
    hosts = {line["host"] for line in site.outcomes(campaign)}
    assert hosts == {daemon.name for daemon in daemons}


def _changed(site: Site, **sections: object) -> Path:
    """The site's configuration with other sections, in a file of its own."""
    config = msgspec.structs.replace(load(site.config), path=None, **sections)
    return site.box.write_config(config, site.folder / "changed.toml")
