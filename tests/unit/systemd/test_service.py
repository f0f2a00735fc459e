"""The unit file: valid, sandboxed, and in step with the command and the daemon that it starts."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from campaignd import daemon
from campaignd.cli.entry import campaignd
from campaignd.config import Daemon, Http

UNIT = Path(__file__).parents[3] / "systemd" / "campaignd@.service"
INSTALLED = "/opt/campaignd/bin/campaignd"
SANDBOX_START = "# Sandbox:"
HIGHEST_EXPOSURE = 2.0  # of 10, as `systemd-analyze security` counts


def entries(unit: str) -> dict[str, list[str]]:
    """The unit's settings by name; one that is given several times has several values."""
    found: dict[str, list[str]] = {}
    for line in unit.splitlines():
        name, separator, value = line.partition("=")
        if separator and not line.startswith("#"):
            found.setdefault(name.strip(), []).append(value.strip())
    return found


@pytest.fixture
def settings() -> dict[str, list[str]]:
    return entries(UNIT.read_text())


@pytest.fixture
def analyze() -> str:
    """The tool; `make test` installs it where it is missing."""
    tool = shutil.which("systemd-analyze")
    assert tool is not None, "systemd-analyze is missing: apt-get install systemd"
    return tool


def verify(tool: str, folder: Path, unit: str) -> subprocess.CompletedProcess[str]:
    """What systemd says about instance 1 of a unit, its program being the one of this test."""
    command = Path(sys.executable).with_name("campaignd")
    template = folder / UNIT.name
    template.write_text(unit.replace(INSTALLED, str(command)))
    instance = folder / "campaignd@1.service"
    instance.symlink_to(template.name)
    return subprocess.run(
        [tool, "verify", "--man=no", str(instance)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )


def verify_unit(unit: Path, folder: Path) -> None:
    """systemd accepts every line of a unit that has no instances."""
    tool = shutil.which("systemd-analyze")
    assert tool is not None, "systemd-analyze is missing: apt-get install systemd"
    command = Path(sys.executable).with_name("campaignd")
    copy = folder / unit.name
    copy.write_text(unit.read_text().replace(INSTALLED, str(command)))
    answer = subprocess.run(
        [tool, "verify", "--man=no", str(copy)], capture_output=True, text=True, timeout=60
    )
    assert (answer.returncode, answer.stdout + answer.stderr) == (0, "")


def same_sandbox(unit: Path) -> None:
    """A unit is as tight as the daemon's."""
    ours, theirs = (one.read_text().partition(SANDBOX_START)[2] for one in (unit, UNIT))
    assert ours
    assert ours == theirs


def started_http(unit: Path) -> tuple[str, int] | None:
    """Where the command of a unit, which there is, serves its metrics."""
    [command] = entries(unit.read_text())["ExecStart"]
    program, *words = shlex.split(command)
    assert program == INSTALLED
    answer = CliRunner().invoke(campaignd, [*words, "--help"])
    assert answer.exit_code == 0, answer.output
    return Http(listen=words[words.index("--listen-http") + 1]).address


def exposure(tool: str, unit: Path) -> float:
    """Overall exposure; 0 is a service that can reach nothing."""
    found = subprocess.run(
        [tool, "security", "--offline=yes", "--no-pager", str(unit)],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout
    overall = re.search(r"Overall exposure level for \S+: ([0-9.]+) ", found)
    assert overall is not None, found
    return float(overall[1])


def test_systemd_accepts_every_line(analyze: str, tmp_path: Path) -> None:
    answer = verify(analyze, tmp_path, UNIT.read_text())
    assert (answer.returncode, answer.stdout + answer.stderr) == (0, "")


def test_an_unknown_setting_would_be_seen(analyze: str, tmp_path: Path) -> None:
    broken = UNIT.read_text().replace("KillMode=mixed", "KillMood=mixed")
    answer = verify(analyze, tmp_path, broken)
    assert "KillMood" in answer.stdout + answer.stderr


def test_the_sandbox_is_tight(analyze: str) -> None:
    assert exposure(analyze, UNIT) <= HIGHEST_EXPOSURE


def test_a_service_without_sandbox_would_be_seen(analyze: str, tmp_path: Path) -> None:
    bare = tmp_path / "bare@.service"
    bare.write_text(f"[Service]\nExecStart={INSTALLED} run\n")
    assert exposure(analyze, bare) > HIGHEST_EXPOSURE


def test_stop_leaves_time_to_drain(settings: dict[str, list[str]]) -> None:
    [seconds] = settings["TimeoutStopSec"]
    assert int(seconds) > Daemon().drain_timeout + daemon.FLUSH_SECONDS


def test_stop_signals_the_daemon_alone(settings: dict[str, list[str]]) -> None:
    """SIGTERM to the main process drains; SIGKILL goes to all that is left after it."""
    assert settings["KillMode"] == ["mixed"]
    assert "KillSignal" not in settings  # SIGTERM
    assert settings["ExecReload"] == ["/bin/kill -HUP $MAINPID"]


def test_it_notifies_and_is_watched(settings: dict[str, list[str]]) -> None:
    assert settings["Type"] == ["notify"]
    assert settings["NotifyAccess"] == ["main"]
    assert int(settings["WatchdogSec"][0]) >= 10
    assert settings["Restart"] == ["on-failure"]


@pytest.mark.parametrize("instance", range(1, 10))
def test_instances_have_names_and_ports_of_their_own(
    settings: dict[str, list[str]], instance: int
) -> None:
    [command] = settings["ExecStart"]
    words = shlex.split(command.replace("%i", str(instance)).replace("%H", "mail1"))
    assert words[0] == INSTALLED
    assert words[words.index("--config") + 1] == "/etc/campaignd/config.toml"
    assert words[words.index("--name") + 1] == f"mail1-{instance}"
    address = Http(listen=words[words.index("--listen") + 1]).address
    assert address == ("127.0.0.1", 9460 + instance)


def test_secrets_are_credentials(settings: dict[str, list[str]]) -> None:
    """Without a path they may be absent, and the command line finds them by the same names."""
    for secret in settings["LoadCredential"]:
        assert re.fullmatch(r"campaignd\.[a-z0-9-]+", secret)
    assert "Environment" not in settings


def test_metrics_of_the_process_are_to_be_had(settings: dict[str, list[str]]) -> None:
    """prometheus-client wants /proc/stat, which ProcSubset=pid hides."""
    assert "ProcSubset" not in settings


def test_descriptors_are_enough_for_the_sessions(settings: dict[str, list[str]]) -> None:
    assert int(settings["LimitNOFILE"][0]) >= 3 * 20_000


def test_memory_may_not_become_executable(tmp_path: Path) -> None:
    """MemoryDenyWriteExecute: everything that the daemon loads works without it.

    The kernel's own switch for it (prctl PR_SET_MDWE, Linux 6.3) stands in for systemd's filter.
    """
    script = tmp_path / "load.py"
    script.write_text(LOAD_UNDER_MDWE)
    answer = subprocess.run(
        [sys.executable, str(script)], check=False, capture_output=True, text=True, timeout=60
    )
    assert answer.returncode == 0, answer.stderr
    result = json.loads(answer.stdout)
    if result["denied"] is None:
        pytest.skip("this kernel has no PR_SET_MDWE")
    assert result == {"denied": True, "ran": True}


LOAD_UNDER_MDWE = """
import ctypes, json, mmap

PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN = 65, 1
libc = ctypes.CDLL(None, use_errno=True)
denied = ran = None
if libc.prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) == 0:
    try:
        mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()
        denied = False
    except PermissionError:
        denied = True

    import asyncio, uvloop
    import campaignd.daemon

    ran = uvloop.run(asyncio.sleep(0, True))
print(json.dumps({"denied": denied, "ran": ran}))
"""
