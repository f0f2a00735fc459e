from __future__ import annotations

import pytest

from benchmarks.receiver import last_count


@pytest.mark.parametrize(
    ("output", "messages"),
    [
        (b"", 0),
        (b"sess=1 quit=0 mesg=0\r", 0),
        (b"sess=1 quit=0 mesg=41\rsess=1 quit=0 mesg=42\r", 42),
        (b"sess=1 quit=0 mesg=42\rsess=1 quit=0 mesg=4", 42),  # being written
        (b"=9 mesg=1200\rsess=200 quit=200 mesg=1201\n", 1_201),
    ],
)
def test_last_count(output: bytes, messages: int) -> None:
    assert last_count(output) == messages
