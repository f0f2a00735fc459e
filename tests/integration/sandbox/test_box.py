"""The servers of a sandbox: they serve, and can be killed, frozen and brought back."""

from __future__ import annotations

import shutil
import stat
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pymysql
import pytest
import redis

from campaignd.config import Config, Lease, Limits, MySQL, Redis, Relay, load
from campaignd.errors import SandboxError
from campaignd.sandbox import binaries
from campaignd.sandbox.box import Sandbox
from tests.integration.sandbox.leftovers import processes_of, wait_for


@pytest.fixture(scope="module")
def own() -> Iterator[Sandbox]:
    """One that may be harmed, over TCP."""
    with Sandbox(tcp=True, buffer_pool_mib=32, mariadb_options=["--wait-timeout=1234"]) as box:
        yield box


def connect(url: str, timeout: float = 30) -> Any:
    target = Config(mysql=MySQL(url=url)).mysql_target()
    return closing(
        pymysql.connect(
            host=target.host,
            port=target.port,
            unix_socket=target.unix_socket,
            user=target.user,
            password=target.password,
            database=target.database,
            read_timeout=timeout,
            autocommit=True,
        )
    )


def ask(url: str, statement: str) -> Any:
    with connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall()


def redis_at(url: str) -> redis.Redis:
    return redis.Redis.from_url(url, socket_timeout=30)


def test_both_answer_on_unix_sockets(sandbox: Sandbox, database: str) -> None:
    assert "unix_socket" in database
    assert ask(database, "SELECT 1") == ((1,),)
    with closing(redis_at(sandbox.redis.url)) as client:
        assert client.ping()


def test_both_answer_on_tcp_with_their_passwords(own: Sandbox) -> None:
    url = own.create_database("tcp")
    assert f"127.0.0.1:{own.mariadb.port}" in url
    assert ask(url, "SELECT @@wait_timeout, @@innodb_buffer_pool_size") == ((1234, 32 << 20),)
    with closing(redis_at(own.redis.url)) as client:
        assert client.ping()
    with pytest.raises(pymysql.err.OperationalError, match="Access denied"):
        ask(f"mysql://campaignd@127.0.0.1:{own.mariadb.port}/tcp", "SELECT 1")
    without = redis_at(f"redis://127.0.0.1:{own.redis.port}/0")
    with closing(without), pytest.raises(redis.exceptions.AuthenticationError):
        without.ping()


def test_settings_are_those_of_production(sandbox: Sandbox, database: str) -> None:
    names = "flush_log_at_trx_commit", "buffer_pool_size"
    selected = ", ".join(f"@@innodb_{name}" for name in names)
    row = ask(database, f"SELECT {selected}, @@max_allowed_packet, @@skip_networking")[0]
    assert row == (1, 256 << 20, 64 << 20, 1)
    assert ask(database, "SELECT @@character_set_database") == (("utf8mb4",),)
    with closing(redis_at(sandbox.redis.url)) as client:
        assert client.config_get("save", "appendonly") == {"save": "", "appendonly": "no"}


def test_only_this_user_may_enter(sandbox: Sandbox) -> None:
    assert stat.S_IMODE(sandbox.folder.stat().st_mode) == 0o700


def test_the_database_of_a_test_is_migrated(database: str) -> None:
    tables = {name for (name,) in ask(database, "SHOW TABLES")}
    assert {"campaigns", "shards", "recipients"} <= tables


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_what_was_committed_is_there_after(own: Sandbox, end: str) -> None:
    url = own.create_database(f"after_{end}")
    ask(url, "CREATE TABLE t (i INT)")
    ask(url, "INSERT INTO t VALUES (7)")
    before = own.mariadb.pid
    getattr(own.mariadb, end)()
    assert not own.mariadb.running
    with pytest.raises(pymysql.err.OperationalError):
        ask(url, "SELECT 1")
    own.mariadb.start()
    assert own.mariadb.pid != before
    assert ask(url, "SELECT i FROM t") == ((7,),)


def test_redis_comes_back_empty_at_its_address(own: Sandbox) -> None:
    with closing(redis_at(own.redis.url)) as client:
        client.set("key", "value")
    own.redis.restart()
    with closing(redis_at(own.redis.url)) as client:
        assert client.get("key") is None


def test_frozen_servers_answer_when_thawed(own: Sandbox) -> None:
    url = own.create_database("frozen")
    own.mariadb.freeze()
    try:
        assert own.mariadb.running
        answers: list[Any] = []
        asker = threading.Thread(target=lambda: answers.append(ask(url, "SELECT 1")), daemon=True)
        asker.start()
        state = Path(f"/proc/{own.mariadb.pid}/status")
        wait_for(lambda: "T (stopped)" in state.read_text(), "stopped")
        assert answers == []
    finally:
        own.mariadb.thaw()
    asker.join(30)
    assert answers == [((1,),)]


def test_a_frozen_server_can_be_stopped_and_killed(own: Sandbox) -> None:
    own.redis.freeze()
    own.redis.stop(timeout=30)
    own.redis.start()
    own.redis.freeze()
    own.redis.kill()
    own.redis.start()
    with closing(redis_at(own.redis.url)) as client:
        assert client.ping()


def test_calls_out_of_turn_say_so(own: Sandbox) -> None:
    with pytest.raises(SandboxError, match="mariadbd runs already"):
        own.mariadb.start()
    own.redis.stop()
    own.redis.stop()
    own.redis.kill()
    with pytest.raises(SandboxError, match="redis-server does not run"):
        own.redis.freeze()
    own.redis.start()
    own.create_database("twice")
    with pytest.raises(SandboxError, match=r"twice.*exists"):
        own.create_database("twice")
    with pytest.raises(SandboxError, match="no name"):
        own.create_database("x`; DROP DATABASE mysql")


def test_a_closed_sandbox_leaves_nothing_and_starts_again(place: Path) -> None:
    box = Sandbox()
    for _ in range(2):
        with box:
            folder = box.folder
            assert folder.parent == place
        assert not folder.exists()
        assert processes_of(folder) == []
    with pytest.raises(SandboxError, match="closed"):
        box.redis.start()
    box.close()


def test_a_server_that_does_not_start_shows_its_log(place: Path) -> None:
    box = Sandbox(mariadb_options=["--no-such-option"])
    with pytest.raises(SandboxError, match=r"mariadbd ended with status.*no-such-option") as error:
        box.start()
    assert "\n" not in str(error.value)
    assert "no-such-option" in "".join(error.value.__notes__)


def test_a_server_that_does_not_answer_is_given_up(own: Sandbox) -> None:
    own.redis.stop()
    own.redis.launch()
    own.redis.freeze()
    try:
        with pytest.raises(SandboxError, match="does not answer"):
            own.redis.wait_ready(timeout=0.05)
    finally:
        own.redis.kill()
        own.redis.start()


def test_a_long_temporary_path_is_avoided(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    with Sandbox() as box:
        assert len(str(box.mariadb.socket)) < 108


def test_missing_programs_are_named_with_their_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(binaries, "EXTRA_FOLDERS", ())
    with pytest.raises(SandboxError, match=r"`apt-get install mariadb-server redis-server`$"):
        Sandbox()
    found = shutil.which("redis-server", path="/usr/bin:/usr/local/bin")
    assert found is not None
    monkeypatch.setenv("PATH", str(Path(found).parent))
    monkeypatch.setattr(binaries, "_PACKAGES", {"redis-server": "r", "mariadbd-nowhere": "m"})
    with pytest.raises(SandboxError, match=r"^mariadbd-nowhere not found: .*install m`$"):
        Sandbox()


def test_a_program_that_is_not_mariadb(place: Path) -> None:
    with pytest.raises(SandboxError, match="is not MariaDB"):
        binaries.mariadb_version("/bin/echo")


@pytest.mark.parametrize("cache", ["empty", "full", "closed"])
def test_the_data_directory_is_prepared_once(
    cache: str, tmp_path: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "cache"
    if cache == "closed":
        home.write_text("not a folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(home))
    if cache == "full":
        with Sandbox():
            pass
    with Sandbox() as box:
        installed = (box.folder / "mariadb-install-db.log").exists()
        assert installed == (cache != "full")
    if cache != "closed":
        assert len(list((home / "campaignd").iterdir())) == 1


def test_a_configuration_for_it_can_be_loaded(own: Sandbox, tmp_path: Path) -> None:
    url = own.create_database("configured")
    relays = [Relay(name="sink", host="127.0.0.1", port=2525, tls="none", connections=3)]
    written = own.write_config(
        own.config(url, relays, lease=Lease(ttl=2), limits=Limits(messages_per_second=5)),
        tmp_path / "config.toml",
    )
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    config = load(written)
    assert config.mysql == MySQL(url=url)
    assert config.redis == Redis(url=own.redis.url)
    assert config.relay == relays
    assert (config.lease.ttl, config.limits.messages_per_second) == (2, 5)
    assert config.http.address is None
