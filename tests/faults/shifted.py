"""Runs campaignd with a wall clock that is wrong by what a file says.

The file, named by `$SHIFTED_CLOCK`, holds one double: seconds to add. The product has no such
switch; here `time.time` is replaced before anything of it is imported.
"""

from __future__ import annotations

import mmap
import os
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path

VARIABLE = "SHIFTED_CLOCK"


def set_shift(file: Path, seconds: float) -> None:
    """Sets the clocks of all processes that look at the file."""
    with file.open("r+b" if file.exists() else "wb") as out:
        out.write(struct.pack("d", seconds))


def shifted(file: Path) -> Callable[[], float]:
    """A `time.time` that is wrong."""
    with file.open("rb") as source:
        shift = mmap.mmap(source.fileno(), 8, prot=mmap.PROT_READ)
    right = time.time
    return lambda: right() + float(struct.unpack_from("d", shift)[0])


if __name__ == "__main__":
    time.time = shifted(Path(os.environ[VARIABLE]))
    from campaignd.cli import main

    sys.exit(main())
