"""Chooses few inputs that cover as much of campaignd as many do."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import FrameType
from typing import Any

import campaignd

_ROOT = str(Path(campaignd.__file__).parent)

Edge = tuple[str, int, int]
"""A file, a line in it, and the line that ran before in the same frame."""


def smallest(run: Callable[[bytes], None], inputs: Iterable[bytes]) -> list[bytes]:
    """Those that reach something which no shorter one does."""
    chosen = []
    known: set[Edge] = set()
    for data in sorted(inputs, key=lambda data: (len(data), data)):
        edges = _edges(run, data)
        if not edges <= known:
            known |= edges
            chosen.append(data)
    return chosen


def _edges(run: Callable[[bytes], None], data: bytes) -> set[Edge]:
    edges: set[Edge] = set()

    def called(frame: FrameType, event: str, arg: Any) -> Callable[..., Any] | None:
        file = frame.f_code.co_filename
        if not file.startswith(_ROOT):
            return None
        before = 0

        def stepped(frame: FrameType, event: str, arg: Any) -> Callable[..., Any]:
            nonlocal before
            edges.add((file, before, frame.f_lineno))
            before = frame.f_lineno
            return stepped

        return stepped

    sys.settrace(called)
    try:
        run(data)
    finally:
        sys.settrace(None)
    return edges
