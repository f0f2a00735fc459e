"""What a running process does, by py-spy, where that is installed."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from benchmarks.errors import BenchmarkError

_SAMPLES_PER_SECOND: Final = "500"
_WRITE_TIMEOUT: Final = 60.0  # seconds for py-spy to draw what it has seen


class Profiler:
    """Samples the process within the `with` block; does nothing without a file."""

    def __init__(self, pid: int, file: Path | None) -> None:
        """`file` is for a flame graph if it ends in .svg, else for the samples themselves. Raises
        BenchmarkError if py-spy is not installed."""
        self._file = file
        self._process: subprocess.Popen[bytes] | None = None
        if file is not None:
            self._command = [
                *(py_spy(), "record", "--nonblocking", "--rate", _SAMPLES_PER_SECOND),
                *("--pid", str(pid), "--output", str(file)),
                *("--format", "flamegraph" if file.suffix == ".svg" else "raw"),
            ]

    def __enter__(self) -> Self:
        if self._file is not None:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(_WRITE_TIMEOUT)
            finally:
                self._process.kill()


def py_spy() -> str:
    """Where it is. Raises BenchmarkError, saying what to install."""
    folder = Path(sys.executable).parent
    path = shutil.which("py-spy", path=str(folder)) or shutil.which("py-spy")
    if path is None:
        raise BenchmarkError("--profile needs py-spy: pip install py-spy")
    return path
