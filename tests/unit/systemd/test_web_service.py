"""The unit of `campaignd web`: as tight as the daemon's, and in step with what it starts."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner

from campaignd.cli.entry import campaignd
from campaignd.config import Http
from campaignd.web import listener
from tests.unit.systemd import test_service as daemons

UNIT = daemons.UNIT.with_name("campaignd-web.service")
SANDBOX_START = "# Sandbox:"


def test_systemd_accepts_every_line(tmp_path: Path) -> None:
    tool = shutil.which("systemd-analyze")
    assert tool is not None, "systemd-analyze is missing: apt-get install systemd"
    command = Path(sys.executable).with_name("campaignd")
    copy = tmp_path / UNIT.name
    copy.write_text(UNIT.read_text().replace(daemons.INSTALLED, str(command)))
    answer = subprocess.run(
        [tool, "verify", "--man=no", str(copy)], capture_output=True, text=True, timeout=60
    )
    assert (answer.returncode, answer.stdout + answer.stderr) == (0, "")


def test_the_sandbox_is_the_daemons() -> None:
    ours, theirs = (unit.read_text().partition(SANDBOX_START)[2] for unit in (UNIT, daemons.UNIT))
    assert ours
    assert ours == theirs


def test_what_it_starts() -> None:
    settings = daemons.entries(UNIT.read_text())
    [command] = settings["ExecStart"]
    program, *words = shlex.split(command)
    assert program == daemons.INSTALLED
    answer = CliRunner().invoke(campaignd, [*words, "--help"])
    assert answer.exit_code == 0, answer.output
    address = Http(listen=words[words.index("--listen-http") + 1]).address
    assert address == ("127.0.0.1", 9471)  # beside those of nine daemons


def test_stop_leaves_time_for_what_is_under_way() -> None:
    settings = daemons.entries(UNIT.read_text())
    [seconds] = settings["TimeoutStopSec"]
    assert int(seconds) > listener.DRAIN_SECONDS
    assert settings["KillMode"] == ["mixed"]
    assert int(settings["LimitNOFILE"][0]) > 2 * listener.CONNECTIONS
