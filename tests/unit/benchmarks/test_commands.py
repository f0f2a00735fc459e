from __future__ import annotations

import inspect
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks import __main__ as entry
from benchmarks.errors import BenchmarkError
from benchmarks.full import STEPS, arguments
from benchmarks.scenario import Scenario
from benchmarks.scenarios.all import SCENARIOS

MEASURED = {"throughput", "memory", *(scenario.name for scenario in SCENARIOS)}


@pytest.mark.parametrize("name", sorted(MEASURED))
def test_each_scenario_has_its_command_and_says_what_it_does(name: str) -> None:
    command = entry.benchmarks.commands[name]
    assert command.help
    assert {"size", "json_file", "smoke"} <= {parameter.name for parameter in command.params}


def test_each_scenario_is_a_step_of_the_full_run() -> None:
    assert sorted(step.name for step in STEPS) == sorted(MEASURED)


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_the_options_of_each_step_are_known(step: object) -> None:
    name, options = step  # type: ignore[misc]
    command = entry.benchmarks.commands[name]
    command.make_context(name, arguments(options))


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_command_and_smoke_give_what_the_measurement_takes(scenario: Scenario) -> None:
    wanted = set(inspect.signature(scenario.measure).parameters) - {"workshop"}
    assert set(scenario.smoke) == wanted
    given = {parameter.name for parameter in scenario.command().params}
    assert given - {"size", "json_file", "smoke"} == wanted


def test_arguments() -> None:
    assert arguments({"count": 3, "without_peers": True}) == ["--count", "3", "--without-peers"]


def test_nothing_to_render(tmp_path: Path) -> None:
    result = CliRunner().invoke(entry.benchmarks, ["render", "--folder", str(tmp_path)])
    assert isinstance(result.exception, BenchmarkError)


def test_a_failed_measurement_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(**options: object) -> None:
        raise BenchmarkError("smtp-sink took 41 messages, not 42")

    monkeypatch.setattr("sys.argv", ["benchmarks", "memory"])
    monkeypatch.setattr(entry.benchmarks.commands["memory"], "callback", fail)
    assert entry.main() == 1
    assert capsys.readouterr().err == "error: smtp-sink took 41 messages, not 42\n"
