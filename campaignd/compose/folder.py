"""Reads the files that a campaign names, and none outside of its own folder.

That holds if nobody else writes into the folder meanwhile: one who does can put a symbolic link
in a file's place after `inside` has looked at it.
"""

from __future__ import annotations

import os
import stat
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
        opened = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a FIFO must not make us wait
        try:
            if not stat.S_ISREG(os.fstat(opened).st_mode):
                raise CampaignError(f"{shown}: not a file")
            with open(opened, "rb", closefd=False) as file:
                return file.read(most + 1)
        finally:
            os.close(opened)
    except OSError as error:
        raise CampaignError(f"{shown}: {error.strerror}") from None
