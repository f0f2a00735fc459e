"""docs/deliverability.md against the code: each of the providers' rules is met somewhere, and the
tests that are named for it exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from campaignd.cli.entry import COMMANDS
from campaignd.lint import RULES

PROJECT = Path(__file__).parents[3]
GUIDE = (PROJECT / "docs" / "deliverability.md").read_text("utf-8")


def section(title: str) -> str:
    [found] = re.findall(rf"^## {title}\n(.*?)(?=^## |\Z)", GUIDE, re.MULTILINE | re.DOTALL)
    return str(found)


def table(title: str) -> list[list[str]]:
    """The cells of a section's table, without its head."""
    lines = [line for line in section(title).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


PROVIDERS = table("The providers' rules")


def functions(file: str) -> set[str]:
    tree = ast.parse((PROJECT / "tests" / file).read_text("utf-8"))
    found = ast.walk(tree)
    return {node.name for node in found if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_each_provider_has_its_rules() -> None:
    assert {row[0] for row in PROVIDERS} == {"Gmail", "Yahoo", "Outlook"}
    assert len(PROVIDERS) >= 25


@pytest.mark.parametrize("row", PROVIDERS, ids=lambda row: f"{row[0]}: {row[1][:40]}")
def test_no_cell_is_empty_and_every_test_exists(row: list[str]) -> None:
    assert len(row) == 5
    assert all(row)
    assert re.fullmatch(r"\[\w+\]\(https://\S+\)", row[2])
    if row[3].startswith("Outside") and row[4].startswith("none can: "):
        return
    named = re.findall(r"`([\w/]+\.py)::(test_\w+)`", row[4])
    assert row[4] == ", ".join(f"`{file}::{name}`" for file, name in named)
    for file, name in named:
        assert name in functions(file), f"{file} has no {name}"


def test_every_rule_of_lint_is_there() -> None:
    rows = table("What lint looks at")
    listed = {row[0].strip("`"): (row[1], row[3]) for row in rows}
    assert len(listed) == len(rows)
    assert {name: level for name, (level, _) in listed.items()} == {
        name: rule.level.value for name, rule in RULES.items()
    }
    for rule in RULES.values():
        assert re.fullmatch(r"RFC \d+, [\d.]+|https://\S+|docs/\S+", rule.source)
        assert rule.source in listed[rule.id][1]


def test_commands_that_are_shown_exist() -> None:
    blocks = "".join(re.findall(r"^```sh\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL))
    shown = set(re.findall(r"^campaignd ([a-z-]+)", blocks, re.MULTILINE))
    shown |= set(re.findall(r"`campaignd ([a-z-]+)", GUIDE))
    assert {"lint", "dns", "web", "receive", "suppress", "send-test", "check"} <= shown
    assert shown <= set(COMMANDS)


def test_links_lead_somewhere() -> None:
    for target, anchor in re.findall(r"\]\((?!https:)([^)#]*)(#[^)]+)?\)", GUIDE):
        document = (PROJECT / "docs" / target).read_text("utf-8") if target else GUIDE
        heads = re.findall(r"^#+ (.+)$", document, re.MULTILINE)
        slugs = {"#" + re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}
        assert not anchor or anchor in slugs
