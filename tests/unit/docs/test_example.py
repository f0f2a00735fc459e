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
}


def settings() -> Iterator[tuple[str, str, Any]]:
    """Section, key and default of everything that config.py takes."""
    for section, struct in SECTIONS.items():
        for field in msgspec.structs.fields(struct):
            if field.name != "timeouts":
                yield section, field.name, field.default


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
    relay = values["relay"][0]
    there = {**values, "relay": relay, "relay.timeouts": relay["timeouts"]}[section][name]
    if default is msgspec.NODEFAULT:
        assert f"\n{name} = " in example.text()
    elif default is None:
        assert "Default: " in key.comment
    else:
        assert there == default
        assert type(there) is type(default)
    if isinstance(there, float):
        assert re.search(r"seconds|a second|^(The|TCP|Handing|A conn)", key.comment, re.I)
