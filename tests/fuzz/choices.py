"""Reads decisions from bytes, so that a fuzzer which changes bytes changes decisions.

Used-up bytes give the first choice, and `more` says no: every structure that is read ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TypeVar

T = TypeVar("T")


class Choices:
    """The decisions in `data`, from its front."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        """Bytes that are not read yet."""
        return max(0, len(self._data) - self._at)

    def number(self, low: int, high: int) -> int:
        """Between both, inclusive."""
        span = high - low + 1
        size = max(1, ((span - 1).bit_length() + 7) // 8)
        return low + int.from_bytes(self.take(size), "big") % span

    def pick(self, options: Sequence[T]) -> T:
        return options[self.number(0, len(options) - 1)]

    def flag(self) -> bool:
        return self.number(0, 1) == 1

    def more(self) -> bool:
        """Whether another element follows."""
        return self.left > 0 and self.number(0, 7) > 0

    def octets(self, most: int) -> bytes:
        return self.take(self.number(0, most))

    def text(self, most: int) -> str:
        """Any text, lone surrogates included."""
        return self.octets(most).decode("utf-8", "surrogateescape")

    def rest(self) -> bytes:
        return self.take(self.left)

    def take(self, size: int) -> bytes:
        taken = self._data[self._at : self._at + size]
        self._at += size
        return taken


def cut(choices: Choices, data: bytes, most: int = 12) -> list[bytes]:
    """The data in pieces, none of them empty."""
    points = {choices.number(0, max(1, len(data))) for _ in range(choices.number(0, most))}
    edges = [0, *sorted(point for point in points if 0 < point < len(data)), len(data)]
    return [data[start:end] for start, end in pairwise(edges) if end > start]
