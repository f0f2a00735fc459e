"""The saved corpus: for each target a text file with one input a line, in base64.

A `#` begins a comment: what the inputs below it found.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent / "corpus"


def load(target: str) -> list[bytes]:
    """The inputs of a target, in the order of the file."""
    path = FOLDER / f"{target}.txt"
    if not path.exists():
        return []
    lines = (line.partition("#")[0].strip() for line in path.read_text("ascii").splitlines())
    return [base64.b64decode(line, validate=True) for line in lines if line]


def add(target: str, inputs: list[bytes]) -> int:
    """Appends those that are not there yet; how many they were."""
    known = set(load(target))
    new = sorted({data for data in inputs if data not in known}, key=lambda data: (len(data), data))
    if not new:
        return 0
    with (FOLDER / f"{target}.txt").open("a", encoding="ascii") as file:
        file.writelines(base64.b64encode(data).decode() + "\n" for data in new)
    return len(new)


def unpack(target: str, folder: Path) -> None:
    """Writes the inputs as files, as libFuzzer wants them."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(load(target)):
        (folder / f"saved-{number:04d}").write_bytes(data)
