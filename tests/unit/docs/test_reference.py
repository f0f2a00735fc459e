"""docs/reference.md against the code."""

from __future__ import annotations

import re

import click
import msgspec
import pytest

from campaignd.cli.entry import COMMANDS, campaignd
from campaignd.compose import attachments, campaign
from campaignd.model import CampaignState, Outcome
from tests.unit.docs import reference

TEXT = reference.PATH.read_text("utf-8")


def test_generated_parts_are_up_to_date() -> None:
    hint = "run `python -m tests.unit.docs.reference`"
    assert reference.rendered(TEXT) == TEXT, hint


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_is_there(name: str) -> None:
    command = campaignd.get_command(click.Context(campaignd), name)
    assert command is not None
    [section] = re.findall(rf"^### {name}\n(.*?)(?=^##|\Z)", TEXT, re.MULTILINE | re.DOTALL)
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{parameter.name} has no help"
            assert all(f"`{opt}" in section or f" {opt}" in section for opt in parameter.opts)


def test_the_summaries_are_sentences() -> None:
    for entry in COMMANDS.values():
        assert entry.summary.endswith(".")


def test_every_outcome_and_state_is_explained() -> None:
    for word in [outcome.label for outcome in Outcome] + [state.value for state in CampaignState]:
        assert re.search(rf"^\| `{word}` \|", TEXT, re.MULTILINE), word


def test_every_key_of_a_campaign_file_is_there() -> None:
    [section] = re.findall(r"^## The campaign file\n(.*?)^## ", TEXT, re.MULTILINE | re.DOTALL)
    tables = {
        "[retry]": campaign._Retry,
        "[[attachments]]": attachments.Attachment,
        "[[inline]]": attachments.Inline,
    }
    for field in msgspec.structs.fields(campaign._File):
        name = field.encode_name
        assert f"`{name}`" in section or f"`[{name}]" in section or f"[[{name}]]" in tables
    for table, keys in tables.items():
        for field in msgspec.structs.fields(keys):
            assert f"`{table} {field.encode_name}`" in section
