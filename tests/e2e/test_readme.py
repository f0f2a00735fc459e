"""Runs the real set-up of the README as it stands there, on private servers.

Only names of places are exchanged: where it is installed, where the servers are. `sudo` runs its
command, `apt-get` only notes what it should install, `mariadb` is the sandbox's.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from campaignd.sandbox.box import Sandbox
from campaignd.sandbox.supervisor import unused_port

PROJECT = Path(__file__).parents[2]
README = (PROJECT / "README.md").read_text()
TIMEOUT = 240.0
"""Seconds; most of them are for pip."""

SHIMS = {
    "sudo": 'exec "$@"',
    "apt-get": 'echo "$@" >> "$APT_LOG"',
    "mariadb": 'exec {mariadb} --no-defaults --socket={socket} --user=campaignd "$@"',
    "python3": 'exec {python} "$@"',
}


def section(title: str) -> str:
    """The text under a heading of the second level."""
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", README, re.MULTILINE | re.DOTALL)
    assert found is not None, f"README has no section {title}"
    return found[1]


def commands(text: str) -> list[str]:
    """Its blocks of shell commands."""
    return re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.fixture
def box() -> Iterator[Sandbox]:
    """Of its own: the README makes an account in it."""
    with Sandbox() as started:
        yield started


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy, so that pip leaves nothing in the project."""
    copy = tmp_path / "campaignd"
    copy.mkdir()
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(PROJECT / name, copy)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PROJECT / "campaignd", copy / "campaignd", ignore=ignored)
    return copy


def shims(folder: Path, box: Sandbox) -> None:
    mariadb = shutil.which("mariadb")
    assert mariadb is not None
    folder.mkdir()
    for name, script in SHIMS.items():
        shim = folder / name
        filled = script.format(mariadb=mariadb, socket=box.mariadb.socket, python=sys.executable)
        shim.write_text(f"#!/bin/sh\n{filled}\n")
        shim.chmod(0o755)


def run(script: str, folder: Path, scratch: Path) -> tuple[int, str]:
    """Exit status and output; whatever the script has started is ended."""
    log = scratch / "output"
    passed_on = re.compile(r"PIP_\w+|SSL_CERT_\w+|\w+_proxy", re.IGNORECASE)
    environment = {name: value for name, value in os.environ.items() if passed_on.fullmatch(name)}
    environment |= {
        "PATH": f"{scratch / 'bin'}:/usr/local/bin:/usr/bin:/bin",
        "HOME": str(Path.home()),
        "TMPDIR": str(scratch),
        "APT_LOG": str(scratch / "apt.log"),
    }
    with (
        log.open("wb") as output,
        subprocess.Popen(
            ["bash", "-c", script],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process,
    ):
        try:
            status = process.wait(TIMEOUT)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    return status, log.read_text()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_real_set_up(box: Sandbox, checkout: Path, tmp_path: Path) -> None:
    places = {
        "/opt/campaignd": str(tmp_path / "opt"),
        "/run/mysqld/mysqld.sock": str(box.mariadb.socket),
        "redis://127.0.0.1:6379/0": box.redis.url,
        "2525": str(unused_port()),
        "9464": str(unused_port()),
    }
    script = "set -eu\n" + "".join(commands(section("A real set-up")))
    for name, here in places.items():
        assert name in script
        script = script.replace(name, here)
    shims(tmp_path / "bin", box)
    status, output = run(script, checkout, tmp_path)
    assert status == 0, output
    took = [json.loads(line) for line in (checkout / "sink.jsonl").read_text().splitlines()]
    assert sorted(message["recipient"] for message in took) == [
        "anna@customer.example",
        "bruno@customer.example",
        "chiara@customer.example",
        "me@acme.example",
    ]
    assert "our shop in Torino" in output
    assert output.count(",accepted,") == 3
    assert (tmp_path / "apt.log").read_text().split() == [
        "install",
        "mariadb-server",
        "redis-server",
    ]


def test_the_two_commands_are_targets_that_ci_runs() -> None:
    [block] = commands(section("Try it"))
    assert block.split("\n") == ["make demo", "make test", ""]
    ci = (PROJECT / ".ci" / "run").read_text()
    for command in block.split("\n")[:-1]:
        assert re.search(rf"^make .*\b{command.removeprefix('make ')}$", ci, re.MULTILINE)


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (PROJECT / target).exists(), f"README links to {target}"
