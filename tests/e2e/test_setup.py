"""Setting up: migrate, check, and what is said of a mistake or of servers that are away."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.e2e.site import COMMAND, PATIENCE, Site


@pytest.fixture
def broken(site: Site) -> Path:
    return site.folder / "broken.toml"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[mysql]\nurll = 'x'\n", "Object contains unknown field `urll` - at `$.mysql`"),
        ("[daemon]\nmax_shards = 'many'\n", "Expected `int`, got `str` - at `$.daemon.max_shards`"),
        ("[daemon]\nmax_shards = 0\n", "Expected `int` >= 1 - at `$.daemon.max_shards`"),
        ("[mysql]\npassword_file = 'none'\n", "none: No such file or directory"),
        ("[mysql\n", "at line 1"),
        ("[mysql]\nurl = 'postgres://x'\n", "[mysql] url must look like mysql://"),
    ],
)
@pytest.mark.parametrize("command", ["status", "run"])
def test_a_mistake_in_the_configuration(
    site: Site, broken: Path, text: str, said: str, command: str
) -> None:
    broken.write_text(text)
    assert said in site.refused(command, config=broken)


def test_a_relay_whose_secret_is_missing_is_no_reason_not_to_start(site: Site) -> None:
    text = site.config.read_text().replace(
        'tls = "none"', 'tls = "implicit"\nusername = "u"\npassword_file = "none"'
    )
    config = site.folder / "secret.toml"
    config.write_text(text)
    done = site.run("check", config=config)
    assert done.returncode == 1
    assert "secret file" in done.stdout
    assert "none: No such file" in done.stdout


@pytest.mark.parametrize(
    "words",
    [
        ("status",),
        ("pause", "1"),
        ("migrate",),
        ("outcomes", "1"),
        ("enqueue", "c.toml", "--recipients", "r.csv"),
    ],
)
def test_without_mysql_commands_fail_at_once_with_one_line(
    site: Site, words: tuple[str, ...]
) -> None:
    site.campaign()
    site.audience(2)
    away = site.folder / "away.toml"
    nowhere = 'url = "mysql://x@/d?unix_socket=/nonexistent/m.sock"'
    away.write_text(re.sub(r'url = "mysql:[^"]*"', nowhere, site.config.read_text()))
    assert "MySQL (2003)" in site.refused(*words, config=away)


def test_without_redis_control_works_and_warns(site: Site) -> None:
    campaign = str(site.enqueue(5, "--draft"))
    away = site.folder / "away.toml"
    away.write_text(site.config.read_text().replace("redis.sock", "none.sock"))
    done = site.run("start", campaign, config=away)
    assert done.returncode == 0
    assert done.stderr.startswith("warning: Redis: ")
    [line] = done.stderr.splitlines()
    assert "hosts notice at their next look" in line
    found = site.run("status", campaign, "--json", config=away).json
    assert found["state"] == "running"
    assert found["reason"].startswith("nothing is known of the hosts: Redis: ")


def test_migrate_repeats_and_races(site: Site) -> None:
    name = f"{site.database}_new"
    site.box.create_database(name)
    config = site.folder / "new.toml"
    config.write_text(site.config.read_text().replace(f"/{site.database}?", f"/{name}?"))
    assert "run `campaignd migrate`" in site.refused("status", config=config)
    argv = [COMMAND, "--config", str(config), "migrate", "--json"]
    racing = [subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    told = [process.communicate(timeout=PATIENCE)[0] for process in racing]
    assert [process.returncode for process in racing] == [0, 0]
    assert sorted(told)[-1] == '{"applied":[]}\n'
    assert site.run("migrate", config=config).stdout == "the schema is up to date\n"
    site.box.drop_database(name)


def test_a_schema_that_is_newer_is_refused(site: Site) -> None:
    site.query("INSERT INTO schema_version VALUES (999, 1, 1)")
    for command in ("status", "migrate"):
        assert "upgrade campaignd" in site.refused(command)


def test_check_when_all_is_well(site: Site) -> None:
    site.daemon()
    site.until(lambda: "1 daemon alive" in site.ok("check").stdout, "the daemon is seen")
    found = site.ok("check", "--json").json
    assert [entry["what"] for entry in found] == ["config", "mysql", "redis", "relay sink"]
    assert all(entry["works"] for entry in found)


def test_check_names_what_is_wrong(site: Site) -> None:
    site.sink.kill()
    config = site.folder / "wrong.toml"
    text = site.config.read_text().replace("redis.sock", "none.sock")
    config.write_text(text.replace(f"/{site.database}?", "/nowhere?"))
    done = site.run("check", config=config)
    assert done.returncode == 1
    lines = {line.split()[1]: line for line in done.stdout.splitlines()}
    assert lines["config"].startswith("ok")
    assert all(lines[name].startswith("FAIL") for name in ("mysql", "redis", "relay"))
    assert "nowhere" in lines["mysql"]
    assert "check host and port" in lines["relay"]


def test_two_daemons_on_one_port(site: Site) -> None:
    from campaignd.sandbox.supervisor import unused_port

    listen = f"127.0.0.1:{unused_port()}"
    site.daemon(None, "--listen", listen)
    assert f"[http] listen {listen}" in site.refused("run", "--listen", listen)


def test_a_name_that_cannot_be(site: Site) -> None:
    assert "use at most 64 letters" in site.refused("run", "--name", "a b")
