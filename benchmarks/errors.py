"""What can go wrong with a measurement."""


class BenchmarkError(Exception):
    """It could not be made, or sender, ledger and receiver do not agree; one line says why."""
