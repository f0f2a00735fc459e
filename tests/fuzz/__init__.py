"""Fuzzing: hostile relays, merge values, templates and files, made by coverage or by chance.

A target is a function of bytes that raises when campaignd does what it must not. `Choices` reads
structure from the bytes, so that one target serves three drivers: atheris (libFuzzer's coverage
guidance) and a blind mutator under `python -m tests.fuzz`, and pytest, which replays the saved
corpus and a fixed number of mutations of it. What a target expects is written anew here, as
plainly as it can be, and never with the code under test.

    python -m tests.fuzz run [--seconds 180] [--seed 1] [TARGET ...]
    python -m tests.fuzz replay TARGET FILE
    python -m tests.fuzz keep TARGET ...     puts what a run found into the saved corpus
"""
