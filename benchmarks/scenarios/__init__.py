"""One module for each scenario: what is compared, and what is found.

A module has a `measure` function, which works in a workshop that it is given, and a `SCENARIO`
that says with which options it is called, how small its smoke is, and what `full` asks of it.
"""
