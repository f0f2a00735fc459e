"""Changes inputs at random, without regard to coverage; the same seed gives the same inputs."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence


def mutations(saved: Sequence[bytes], longest: int, seed: int) -> Iterator[bytes]:
    """Without end: half made up, half changed from what is saved."""
    chance = random.Random(seed)
    while True:
        if not saved or chance.random() < 0.5:
            yield chance.randbytes(int(longest * chance.random() ** 2))
        else:
            yield _changed(chance.choice(saved), saved, chance)[:longest]


def _changed(data: bytes, saved: Sequence[bytes], chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4, 8))):
        at = chance.randint(0, len(changed))
        turn = chance.randint(0, 4)
        if turn == 0 and at < len(changed):
            changed[at] = chance.randint(0, 255)
        elif turn == 1:
            del changed[at : at + chance.randint(1, 8)]
        elif turn == 2:
            changed[at:at] = chance.randbytes(chance.randint(1, 8))
        elif turn == 3:
            other = chance.choice(saved)
            start = chance.randint(0, len(other))
            changed[at:] = other[start:]
        elif at < len(changed):
            changed[at] ^= 1 << chance.randint(0, 7)
    return bytes(changed)
