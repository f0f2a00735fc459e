from __future__ import annotations

from pathlib import Path

from benchmarks import render, report
from benchmarks.findings import Finding
from benchmarks.scenarios.all import SCENARIOS
from tests.unit.benchmarks.test_report import HERE

DOCUMENT = """\
# Title

<!-- figures: pause idle -->
old
<!-- end of figures -->

<!-- figures: tls -->
stays
<!-- end of figures -->
"""


def result(scenario: str) -> report.Result:
    found = [Finding(what=f"{scenario} took", unit="s", values=[0.5], at_most=1)]
    return report.summarise(scenario, HERE, {}, {}, found)


def test_places_with_results_are_made_anew() -> None:
    text = render.fill(DOCUMENT, {"pause": result("pause")})
    assert "| pause took | 0.50 s |  | 1.00 or less | yes |" in text
    assert "commit 0123456789ab+" in text
    assert "old" not in text
    assert "stays" in text
    assert render.fill(text, {"pause": result("pause")}) == text


def test_results_are_read_in_the_order_of_the_full_run(tmp_path: Path) -> None:
    for name in ("tls", "idle", "peers"):
        report.write(result(name), name, tmp_path / f"{name}.json")
    assert list(render.read(tmp_path)) == ["peers", "tls", "idle"]


def test_every_scenario_has_its_place_in_the_document() -> None:
    document = Path("docs/performance.md").read_text("utf-8")
    places = {name for match in render.PLACE.finditer(document) for name in match["names"].split()}
    assert places >= {scenario.name for scenario in SCENARIOS} - {"curves"}
