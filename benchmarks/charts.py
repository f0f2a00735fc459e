"""Charts of results as PNG files. Needs matplotlib, which is an optional extra."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

from benchmarks import full, stages
from benchmarks.errors import BenchmarkError

CURVES: Final = (
    ("sessions", "sessions.png", "Throughput by sessions", "sessions", True),
    ("size", "size.png", "Throughput by message size", "octets of a message", True),
    ("rtt_ms", "distance.png", "Throughput by the receiver's distance", "ms there and back", False),
)
_INCHES: Final = (7.0, 4.0)
_DOTS_PER_INCH: Final = 120

Draw = Callable[[Any], None]


@click.command()
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=full.FOLDER,
    help="Where the results are.",
)
@click.option(
    "--to",
    metavar="DIRECTORY",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where the charts go; by default beside the results.",
)
def charts(folder: Path, to: Path | None) -> None:
    """Draws throughput by sessions, size and distance; memory over time; CPU by stage."""
    target = to or folder
    drawings = [*_curves(folder), *_memory(folder), *_stages(folder)]
    if not drawings:
        raise BenchmarkError(f"nothing to draw in {folder}: run `python -m benchmarks full`")
    target.mkdir(parents=True, exist_ok=True)
    for name, draw in drawings:
        _save(target / name, draw)
        click.echo(f"drawn: {target / name}")


def _curves(folder: Path) -> list[tuple[str, Draw]]:
    details = _read(folder, "curves").get("details", {})
    return [
        (name, _curve(details[key], title, unit, logarithmic))
        for key, name, title, unit, logarithmic in CURVES
        if key in details
    ]


def _curve(points: list[dict[str, float]], title: str, unit: str, logarithmic: bool) -> Draw:
    def draw(axes: Any) -> None:
        axes.plot([one["at"] for one in points], [one["rate"] for one in points], marker="o")
        axes.set(title=title, xlabel=unit, ylabel="messages a second", ylim=(0, None))
        if logarithmic:
            axes.set_xscale("log")
        axes.grid(alpha=0.3)

    return draw


def _memory(folder: Path) -> list[tuple[str, Draw]]:
    samples = _read(folder, "memory").get("samples", [])

    def draw(axes: Any) -> None:
        axes.plot(
            [one["seconds"] for one in samples], [one["memory_kib"] / 1024 for one in samples]
        )
        axes.set(
            title="The daemon's memory", xlabel="seconds", ylabel="MiB resident", ylim=(0, None)
        )
        axes.grid(alpha=0.3)

    return [("memory.png", draw)] if samples else []


def _stages(folder: Path) -> list[tuple[str, Draw]]:
    found = _read(folder, "profile").get("details", {}).get("stages")

    def draw(axes: Any) -> None:
        names = list(stages.BUDGET_US)
        places = range(len(names))
        axes.bar([at - 0.2 for at in places], list(stages.BUDGET_US.values()), 0.4, label="budget")
        axes.bar([at + 0.2 for at in places], [found[name] for name in names], 0.4, label="now")
        axes.set_xticks(list(places), names)
        axes.set(title="The daemon's CPU for a message", ylabel="microseconds")
        axes.legend()

    return [("stages.png", draw)] if found else []


def _read(folder: Path, name: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((folder / f"{name}.json").read_bytes())
    except FileNotFoundError:
        return {}
    return found


def _save(path: Path, draw: Draw) -> None:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise BenchmarkError("charts need matplotlib: pip install 'campaignd[bench]'") from None
    figure = Figure(figsize=_INCHES, dpi=_DOTS_PER_INCH, layout="constrained")
    draw(figure.add_subplot())
    figure.savefig(path)
