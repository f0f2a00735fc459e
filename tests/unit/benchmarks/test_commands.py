from __future__ import annotations

import pytest

from benchmarks import __main__ as entry
from benchmarks.errors import BenchmarkError


def test_each_scenario_has_its_command_and_says_what_it_does() -> None:
    assert set(entry.benchmarks.commands) == {"throughput", "memory"}
    for command in entry.benchmarks.commands.values():
        assert command.help
        assert {"count", "size", "sessions", "json_file", "smoke"} <= {
            parameter.name for parameter in command.params
        }


def test_a_failed_measurement_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(**options: object) -> None:
        raise BenchmarkError("smtp-sink took 41 messages, not 42")

    monkeypatch.setattr("sys.argv", ["benchmarks", "memory"])
    monkeypatch.setattr(entry.benchmarks.commands["memory"], "callback", fail)
    assert entry.main() == 1
    assert capsys.readouterr().err == "error: smtp-sink took 41 messages, not 42\n"
