"""Every target, on what fuzzing has found so far and on the first mutations of it."""

from __future__ import annotations

from itertools import islice

import pytest

from tests.fuzz import corpus
from tests.fuzz.__main__ import NAMES
from tests.fuzz.mutate import mutations
from tests.fuzz.targets import TARGETS

SEED = 1


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_is_wrong(name: str) -> None:
    target = TARGETS[name]
    saved = corpus.load(name)
    for data in (b"", *saved, *islice(mutations(saved, target.longest, SEED), target.tries)):
        try:
            target.run(data)
        except Exception as error:
            error.add_note(f"target {name}, input {data!r}")
            raise


def test_the_command_line_knows_every_target() -> None:
    assert list(TARGETS) == NAMES
    assert {path.stem for path in corpus.FOLDER.glob("*.txt")} <= set(NAMES)
