"""config.example.toml against config.py: every key is there, with its default and its meaning."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from campaignd import config
from tests.unit.docs import example

SECTIONS: dict[str, type[msgspec.Struct]] = {
    "mysql": config.MySQL,
    "redis": config.Redis,
    "daemon": config.Daemon,
    "lease": config.Lease,
    "relay": config.Relay,
    "relay.timeouts": config.Timeouts,
    "limits": config.Limits,
    "http": config.Http,
    "links": config.Links,
    "bounces": config.Bounces,
    "dkim": config.Dkim,
    "web": config.Web,
    "webhook": config.Webhook,
    "receive": config.Receive,
    "brakes": config.Brakes,
}
TABLES = ("relay", "dkim", "webhook")
"""Sections of which there may be several."""


def settings() -> Iterator[tuple[str, str, Any]]:
    """Section, key and default of everything that config.py takes."""
    for section, struct in SECTIONS.items():
        for field in msgspec.structs.fields(struct):
            if field.name != "timeouts":
                made = field.default_factory is not msgspec.NODEFAULT
                yield section, field.name, field.default_factory() if made else field.default


def test_the_sections_are_those_of_the_configuration() -> None:
    named = {field.name for field in msgspec.structs.fields(config.Config)} - {"path"}
    assert named | {"relay.timeouts"} == set(SECTIONS)


def test_it_loads_as_it_stands() -> None:
    loaded = config.load(example.PATH)
    assert [relay.name for relay in loaded.relay] == ["relay1"]
    assert loaded.mysql == config.MySQL()


def test_it_loads_with_every_key_in_force() -> None:
    every = example.text().replace('tls = "starttls"', 'tls = "starttls-required"')
    loaded = config.parse(re.sub(r"^#(?=[a-z_]+ = )", "", every, flags=re.MULTILINE))
    assert loaded.relay[0].messages_per_second == 500
    assert loaded.daemon.name == "sender-1"


def test_every_key_is_there_once_and_no_other() -> None:
    shown = [(key.section, key.name) for key in example.entries()]
    assert sorted(shown) == sorted((section, name) for section, name, _ in settings())


@pytest.mark.parametrize(("section", "name", "default"), list(settings()))
def test_defaults_agree_and_units_are_said(section: str, name: str, default: Any) -> None:
    [key] = [key for key in example.entries() if (key.section, key.name) == (section, name)]
    assert key.comment.endswith(".")
    values = example.uncommented()
    firsts = {table: values[table][0] for table in TABLES}
    timeouts = {"relay.timeouts": firsts["relay"]["timeouts"]}
    there = {**values, **firsts, **timeouts}[section][name]
    if default is msgspec.NODEFAULT:
        assert f"\n{name} = " in example.text()
    elif default is None or (default == [] and there):
        assert "Default: " in key.comment
    else:
        assert there == default
        assert type(there) is type(default)
    if isinstance(there, float):
        unit = r"seconds|a second|days|share|^(The|TCP|Handing|A conn)"
        assert re.search(unit, key.comment, re.I) or name in ("complained", "authentication")
