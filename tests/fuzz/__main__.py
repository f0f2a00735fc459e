"""The command line of `make fuzz`; see the package's text."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from tests.fuzz import corpus, cover, engine

NAMES: Final = [
    "address",
    "campaign",
    "compose",
    "config",
    "csv",
    "derive",
    "headers",
    "jsonl",
    "machine",
    "relay",
    "reply",
    "report",
    "session",
    "template",
]
"""Those of `targets.TARGETS`, which is not imported here: `engine` instruments what it does."""

WORK: Final = Path(".fuzz")
"""Where inputs are kept between runs."""

KEPT_OCTETS: Final = 400
KEPT_INPUTS: Final = 40
"""Of one target in the saved corpus: enough to start from, small enough to read over."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for command in ("run", "one", "keep"):
        sub = commands.add_parser(command)
        sub.add_argument("targets", nargs="*", choices=[*NAMES, []], default=[])
        sub.add_argument("--seconds", type=int, default=180, help="in all, over the targets")
        sub.add_argument("--seed", type=int, default=1)
    replay = commands.add_parser("replay")
    replay.add_argument("target", choices=NAMES)
    replay.add_argument("file", type=Path)
    options = parser.parse_args()
    if options.command == "replay":
        return _replay(options.target, options.file)
    targets = options.targets or NAMES
    if options.command == "one":
        engine.fuzz(targets[0], seconds=options.seconds, seed=options.seed, work=WORK)
    if options.command == "keep":
        return _keep(targets)
    return _run(targets, options.seconds, options.seed)


def _run(targets: list[str], seconds: int, seed: int) -> int:
    """Each target in a process of its own, one after the other."""
    share = max(1, seconds // len(targets))
    how = "guided by coverage" if engine.guided() else "by chance (pip install '.[fuzz]' to guide)"
    print(f"{len(targets)} targets, {share} s each, seed {seed}, {how}")
    failed = []
    for target in targets:
        done = _child("one", target, "--seconds", str(share), "--seed", str(seed))
        counted = re.search(r"number_of_executed_units: (\d+)", done.stdout)
        inputs = f"{int(counted[1]):,} inputs" if counted else "no count"
        print(f"  {target:10} {inputs:>18}  {'FAILED' if done.returncode else 'ok'}", flush=True)
        if done.returncode:
            failed.append(target)
            print(_told(done.stdout))
    if failed:
        print("Repeat one with: python -m tests.fuzz replay TARGET .fuzz/failures/TARGET-...")
    return 1 if failed else 0


def _told(output: str) -> str:
    """The end of a failure's output without libFuzzer's own lines."""
    lines = [line for line in output.splitlines() if not line.startswith(("INFO:", "stat::", "#"))]
    return "\n".join(f"    {line[:300]}" for line in lines[-30:])


def _replay(target: str, file: Path) -> int:
    from tests.fuzz.targets import TARGETS  # as NAMES says

    TARGETS[target].run(file.read_bytes())
    print("nothing is wrong")
    return 0


def _keep(targets: list[str]) -> int:
    from tests.fuzz.targets import TARGETS  # as NAMES says

    for target in targets:
        paths = sorted((WORK / "found" / target).glob("*"))
        found = {data for path in paths if len(data := path.read_bytes()) <= KEPT_OCTETS}
        room = max(0, KEPT_INPUTS - len(corpus.load(target)))
        chosen = cover.smallest(TARGETS[target].run, found)
        step = max(1, len(chosen) // max(1, room))
        print(f"  {target:10} {corpus.add(target, chosen[::step][:room])} of {len(found)} kept")
    return 0


def _child(*arguments: str) -> subprocess.CompletedProcess[str]:
    """libFuzzer ends a process without clearing up, so what it leaves is cleared up here."""
    with tempfile.TemporaryDirectory(prefix="campaignd-fuzz-") as folder:
        return subprocess.run(
            [sys.executable, "-m", "tests.fuzz", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=os.environ | {"TMPDIR": folder},
            text=True,
            errors="replace",
            check=False,
        )


if __name__ == "__main__":
    sys.exit(main())
