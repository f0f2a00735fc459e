"""A deterministic simulation of the delivery protocol: many schedules of faults, each from a seed.

The hosts in it run the daemon's own coroutines (`Scheduler`, `ShardRun`, `Recorder`, `Leases`,
`Turns`, `JobQueue` and the decisions in `protocol` and `plan`) on event loops whose time is
simulated. What they talk to is a model: MySQL (`store`, shown equal to the real SQL by
`tests/integration/pipeline/test_model.py`), Redis (`redis`) and relays (`lane`), all of them able
to fail in the ways that the real ones do. `rules` checks R1 to R7 after every change and again
at the end; `mutations` plants bugs that it has to find.

    python -m tests.simulation --schedules 100000 --seed 1 --workers 2
    python -m tests.simulation --replay 12345        # one schedule with its trace
"""
