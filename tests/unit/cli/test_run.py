"""How the daemon's end becomes an exit status."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from campaignd.cli.entry import main
from campaignd.cli.serving import CRASHED, UNCLEAN
from campaignd.config import Config
from campaignd.errors import UsageError


@pytest.fixture
def ending(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[object], int]:
    """Runs `run` with a daemon that ends with a result or an exception."""
    config = tmp_path / "config.toml"
    config.write_text("")

    def run(end: object) -> int:
        async def work(config: Config, reload: Callable[[], Config]) -> bool:
            assert reload() == config
            if isinstance(end, Exception):
                raise end
            return bool(end)

        monkeypatch.setattr("campaignd.cli.run._work", work)
        return main(["--config", str(config), "run"])

    return run


@pytest.mark.parametrize(
    ("end", "status"),
    [
        (True, 0),
        (False, UNCLEAN),
        (ExceptionGroup("tasks", [UsageError("the port is taken")]), 1),
        (ValueError("bug"), CRASHED),
        (ExceptionGroup("tasks", [UsageError("x"), ValueError("bug")]), CRASHED),
    ],
)
def test_statuses(ending: Callable[[object], int], end: object, status: int) -> None:
    assert ending(end) == status


def test_a_bug_is_logged_with_its_traceback(
    ending: Callable[[object], int], capsys: pytest.CaptureFixture[str]
) -> None:
    ending(ValueError("bug"))
    [line] = capsys.readouterr().err.splitlines()
    assert '"event":"crashed"' in line
    assert "Traceback" in line
