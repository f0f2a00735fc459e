"""The generated parts of docs/reference.md: commands, settings and metrics.

`python -m tests.unit.docs.reference` brings the file up to date.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import click

from campaignd import metrics
from campaignd.cli.entry import COMMANDS, campaignd
from tests.unit.docs import example

PATH: Final = Path(__file__).parents[3] / "docs" / "reference.md"


def commands() -> str:
    """A section for each command."""
    context = click.Context(campaignd, info_name="campaignd")
    sections = []
    for name in COMMANDS:
        command = campaignd.get_command(context, name)
        assert command is not None
        sections.append(_command(command, name))
        if isinstance(command, click.Group):
            parts = sorted(command.commands.items())
            sections += [_command(part, f"{name} {word}") for word, part in parts]
    return "\n".join(sections)


def settings() -> str:
    """A table for each section of the configuration."""
    lines: list[str] = []
    section = ""
    for key in example.entries():
        if key.section != section:
            section = key.section
            head = "[[relay]]" if section == "relay" else f"[{section}]"
            lines += ["", f"### {head}", "", "| key | default | |", "| --- | --- | --- |"]
        fallback = "Default: " in key.comment
        required = key.name in ("name", "host") and section == "relay"
        default = "required" if required else "" if fallback else f"`{key.value}`"
        lines.append(f"| `{key.name}` | {default} | {_cell(key.comment)} |")
    return "\n".join(lines[1:])


def measures() -> str:
    """A table of the daemon's own metrics."""
    lines = ["| metric | type | labels | |", "| --- | --- | --- | --- |"]
    for family in metrics.registry.collect():
        if family.name.startswith("campaignd_"):
            name = f"{family.name}_total" if family.type == "counter" else family.name
            text = _cell(family.documentation)
            lines.append(f"| `{name}` | {family.type} | {_labels(family.name)} | {text} |")
    return "\n".join(lines)


def rendered(text: str) -> str:
    """The document with its generated parts brought up to date."""
    parts: dict[str, Callable[[], str]] = {
        "commands": commands,
        "settings": settings,
        "metrics": measures,
    }
    for name, make in parts.items():
        block = re.compile(rf"(?<=<!-- generated: {name} -->\n).*?(?=<!-- end -->)", re.DOTALL)
        assert block.search(text), f"no place for {name}"
        made = f"\n{make()}\n\n"
        text = block.sub(lambda _, made=made: made, text, count=1)
    return text


def _command(command: click.Command, name: str) -> str:
    arguments = [
        param.metavar or (param.name or "").upper()
        for param in command.params
        if isinstance(param, click.Argument)
    ]
    options = list(_options(command))
    usage = " ".join(["campaignd", name, *(["[OPTIONS]"] if options else []), *arguments])
    lines = [f"### {name}", "", "```", usage, "```", ""]
    lines += [_cell(part) + "\n" for part in inspect.cleandoc(command.help or "").split("\n\n")]
    if options:
        lines += ["| option | |", "| --- | --- |", *options, ""]
    return "\n".join(lines)


def _options(command: click.Command) -> Iterator[str]:
    for option in command.params:
        if isinstance(option, click.Option) and not option.hidden:
            choices = getattr(option.type, "choices", None)
            value = "" if option.is_flag else f" {option.metavar or '/'.join(choices)}"
            default = f" Default: `{option.default}`." if option.show_default else ""
            text = _cell(f"{option.help}{default}")
            yield f"| `{_cell(', '.join(option.opts) + value)}` | {text} |"


def _labels(family: str) -> str:
    found = metrics.registry._names_to_collectors[family]
    return ", ".join(f"`{label}`" for label in getattr(found, "_labelnames", ()))


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    PATH.write_text(rendered(PATH.read_text("utf-8")), "utf-8")
