"""Errors become one line and a status; commands are imported when they run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import click
import pytest

from campaignd.cli import entry
from campaignd.cli.entry import COMMANDS, campaignd, main
from campaignd.cli.failures import expected
from campaignd.errors import LeaseOutage, StoreOutage, UsageError

Raise = Callable[[BaseException], None]


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Raise:
    """Makes the next command raise something."""

    def install(error: BaseException) -> None:
        def invoke(ctx: click.Context) -> None:
            raise error

        monkeypatch.setattr(campaignd, "invoke", invoke)

    return install


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (UsageError("change this"), "error: change this\n"),
        (StoreOutage("MySQL is away"), "error: MySQL is away\n"),
        (UsageError("two\nlines"), "error: two lines\n"),
        (
            ExceptionGroup("tasks", [LeaseOutage("x"), ExceptionGroup("more", [LeaseOutage("x")])]),
            "error: x\n",
        ),
    ],
)
def test_mistakes_and_outages_get_one_line(
    failing: Raise, capsys: pytest.CaptureFixture[str], error: BaseException, line: str
) -> None:
    failing(error)
    assert main(["status"]) == 1
    assert capsys.readouterr() == ("", line)


@pytest.mark.parametrize(
    "error", [ValueError("bug"), ExceptionGroup("tasks", [UsageError("x"), ValueError("bug")])]
)
def test_bugs_keep_their_traceback(failing: Raise, error: Exception) -> None:
    failing(error)
    with pytest.raises(type(error)):
        main(["status"])
    assert expected(error) == []


def test_an_interrupt_is_quiet(failing: Raise, capsys: pytest.CaptureFixture[str]) -> None:
    failing(KeyboardInterrupt())
    assert main(["status"]) == 130
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("args", [["pause", "x"], ["nonsense"], ["pause"], ["enqueue", "a.toml"]])
def test_wrong_usage(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(args) == 2
    assert capsys.readouterr().err.startswith("Usage: ")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"Usage: campaignd {name}")


def test_no_configuration(
    monkeypatch: pytest.MonkeyPatch, tmp_path: os.PathLike[str], capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CAMPAIGND_CONFIG", raising=False)
    monkeypatch.setattr("campaignd.config.SEARCH_PATH", ())
    assert main(["status"]) == 1
    assert capsys.readouterr().err.startswith("error: no configuration: use --config FILE")


def test_help_imports_no_command() -> None:
    code = (
        "import sys; from campaignd.cli.entry import main; main(['--help'])\n"
        "print(sorted(m for m in sys.modules if m.startswith('campaignd.cli.')), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {"campaignd.cli.entry", "campaignd.cli.failures", "campaignd.cli.settings"}
    assert set(eval(done.stderr)) == loaded


def test_control_commands_load_nothing_that_only_the_daemon_needs() -> None:
    code = "import sys, campaignd.cli.control; print(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"uvicorn", "starlette", "rich", "aiosmtplib", "jinja2", "prometheus_client", "uvloop"}
    assert not heavy & set(done.stdout.split())


def test_a_reader_that_goes_away_is_no_error() -> None:
    code = (
        "import sys, click\n"
        "from campaignd.cli import entry\n"
        "def invoke(ctx):\n"
        "    for _ in range(100_000): sys.stdout.write('line\\n')\n"
        "entry.campaignd.invoke = invoke\n"
        "sys.exit(entry.main(['x']))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"line\n"
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == entry.FAILED
