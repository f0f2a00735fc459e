"""Reads config.example.toml as documentation: every key, what is said about it, its value."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

PATH = Path(__file__).parents[3] / "config.example.toml"


class Key(NamedTuple):
    """One key of the example."""

    section: str
    name: str
    value: str
    """As TOML."""
    comment: str


def text() -> str:
    return PATH.read_text("utf-8")


def uncommented() -> dict[str, Any]:
    """The example with every commented key in force."""
    return tomllib.loads(re.sub(r"^#(?=[a-z_]+ = )", "", text(), flags=re.MULTILINE))


def entries() -> list[Key]:
    """All keys in order, commented or not."""
    found = []
    section, comment = "", []
    for line in text().splitlines():
        if head := re.fullmatch(r"\[+([a-z.]+)\]+", line):
            section, comment = head[1], []
        elif key := re.fullmatch(r"#?([a-z_]+) = (.*)", line):
            found.append(Key(section, key[1], key[2], " ".join(comment)))
            comment = []
        elif line.startswith("# "):
            comment.append(line[2:])
        else:
            comment = []
    return found
