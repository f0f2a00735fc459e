"""Measures campaignd against its peers: `python -m benchmarks SCENARIO`.

Each scenario is a module with one command: it starts servers of its own, warms up, lets the
candidates take turns, checks that what was sent is what arrived, and prints medians as a table
and as JSON. Speeds are compared only within one run on one machine. docs/benchmarks.md and
docs/performance.md have the method and the figures.

`scenarios` has most of them; `full` runs all, `render` and `charts` show the results.

`material` makes the campaign and its audience; `farend`, `receiver`, `sinks` and `distant` are
where it goes; `subject`, `service`, `candidates` and `peers` are what sends; `workshop`,
`experiment` and `scenario` bring them together; `meter`, `progress`, `stages` and `machine` are the
readings; `figures`, `findings` and `report` the result.
"""
