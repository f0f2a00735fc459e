"""Measures campaignd against its peers: `python -m benchmarks SCENARIO`.

Each scenario is a module with one command: it starts servers of its own, warms up, lets the
candidates take turns, checks that what was sent is what arrived, and prints medians as a table
and as JSON. Speeds are compared only within one run on one machine. docs/benchmarks.md has the
method and the figures.

`material` makes the campaign and its audience, `receiver` the far end, `service` and `peers` the
candidates, `experiment` their turns, `meter` and `machine` the readings, `report` the result.
"""
