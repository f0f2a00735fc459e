"""What options are taken for."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import click
import pytest
from click.testing import CliRunner

from campaignd.cli.moments import moment_option
from campaignd.cli.run import overridden
from campaignd.config import Config
from campaignd.errors import ConfigError


@click.command()
@click.option("--at", callback=moment_option)
def told(at: float | None) -> None:
    click.echo(repr(at))


def at(text: str) -> str:
    done = CliRunner().invoke(told, ["--at", text])
    return done.output.strip() if done.exit_code == 0 else f"exit {done.exit_code}"


def test_a_time_with_a_zone() -> None:
    expected = datetime(2026, 11, 27, 7, 0, tzinfo=UTC).timestamp()
    for text in ("2026-11-27T08:00+01:00", "2026-11-27T07:00Z", "2026-11-27 07:00:00+00:00"):
        assert at(text) == repr(expected)


def test_a_time_without_a_zone_is_local(monkeypatch: pytest.MonkeyPatch) -> None:
    for zone, hours in (("UTC0", 0), ("XXX-3", -3), ("YYY5", 5)):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        expected = datetime(2026, 11, 27, 8, 0, tzinfo=UTC).timestamp() + hours * 3600
        assert at("2026-11-27T08:00") == repr(expected)
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    "text", ["tomorrow", "", "2026-11-27", "2026-W48-5", "20261127", "08:00", "1795492054", "9999"]
)
def test_what_is_no_time(text: str) -> None:
    assert at(text) == "exit 2"


def test_overrides_of_an_instance() -> None:
    config = overridden(Config(), "sender-2", "127.0.0.1:9465")
    assert config.daemon.host == "sender-2"
    assert config.http.address == ("127.0.0.1", 9465)
    assert config.daemon.max_shards == Config().daemon.max_shards
    assert overridden(Config(), None, "").http.address is None
    assert overridden(Config(), None, None) == Config()


@pytest.mark.parametrize(
    ("name", "listen"), [("a b", None), ("", None), (None, "here"), (None, "h:x")]
)
def test_overrides_that_cannot_be(name: str | None, listen: str | None) -> None:
    with pytest.raises(ConfigError, match=r"--name|--listen"):
        overridden(Config(), name, listen)
