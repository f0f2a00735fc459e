"""Reads the files that a campaign names, and none outside of its own folder."""

from __future__ import annotations

from pathlib import Path

from campaignd.errors import CampaignError


def inside(campaign: Path, key: str, name: str) -> Path:
    """The file that the campaign file names under `key`. Raises CampaignError."""
    if not name or not name.isprintable():
        raise CampaignError(f"{campaign}: {key}: give the name of a file")
    shown = f"{campaign}: {key}: {name}"
    folder = campaign.parent.resolve()
    try:
        path = (folder / name).resolve()
    except (OSError, RuntimeError):
        raise CampaignError(f"{shown}: a loop of symbolic links") from None
    if not path.is_relative_to(folder):
        raise CampaignError(f"{shown}: outside of the campaign's folder: move it there")
    return path


def read(path: Path, shown: str, most: int) -> bytes:
    """A file's octets, up to one more than `most`. Raises CampaignError for what is no file."""
    try:
        if path.exists() and not path.is_file():
            raise CampaignError(f"{shown}: not a file")
        with path.open("rb") as file:
            return file.read(most + 1)
    except OSError as error:
        raise CampaignError(f"{shown}: {error.strerror}") from None
