from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from campaignd.sandbox.server import tail

LIMITED = """
import resource
from pathlib import Path
from campaignd.sandbox.server import tail

resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))
assert tail(Path("/dev/full"), 3) == []
"""


def test_last_lines(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"one\n\ntwo\nth\xffree\n\n")
    assert tail(log, 2) == ["two", "th\ufffdree"]
    assert tail(tmp_path / "none", 2) == []


def test_a_device_without_end() -> None:
    """A server whose log is /dev/full, as a test of a full disk has it, must not eat all memory."""
    subprocess.run([sys.executable, "-c", LIMITED], check=True, timeout=60)
