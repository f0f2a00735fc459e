"""`python -m tests.simulation`: see the package's text."""

from __future__ import annotations

import argparse
import sys
from time import monotonic

from tests.simulation.runner import replay, run_all


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--schedules", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1, help="of the first schedule")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--replay", type=int, metavar="SEED", help="one schedule with its trace")
    options = parser.parse_args()
    if options.replay is not None:
        result = replay(options.replay)
        print(*result.trace, sep="\n")
        print(result.violation or "every rule holds")
        return 1 if result.violation else 0
    started = monotonic()
    print(f"seeds {options.seed} to {options.seed + options.schedules - 1}", flush=True)
    summary = run_all(options.seed, options.schedules, options.workers)
    took = monotonic() - started
    print(
        f"{summary.schedules:,} schedules in {took:.0f} s:"
        f" {summary.simulated_seconds / 3600:,.0f} simulated hours,"
        f" {summary.dots:,} final dots, {summary.takeovers:,} takeovers,"
        f" {summary.fenced:,} fenced writes refused, {summary.unknown:,} unknown kept,"
        f" {summary.duplicates:,} duplicates (all marked)"
    )
    if summary.failed:
        print(
            f"{summary.failed} schedules broke a rule; see one: --replay {summary.violations[0][0]}"
        )
        return 1
    print("every rule held")
    return 0


if __name__ == "__main__":
    sys.exit(main())
