"""Each planted bug is found, by the rule that it breaks.

How many schedules it takes is in the output of `pytest -rP`, and bounded here: the first 2,000
of `make test` must be enough for each of them.
"""

from __future__ import annotations

import pytest

from tests.simulation.host import installed
from tests.simulation.mutations import MUTATIONS, Mutation
from tests.simulation.schedule import Schedule
from tests.simulation.test_simulation import SCHEDULES


@pytest.mark.timeout(900)  # at most 16 s of CPU, on a machine that may be busy
@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_is_found(mutation: Mutation) -> None:
    with installed(), mutation.patch():
        for seed in range(1, SCHEDULES + 1):
            violation = Schedule(seed, make_store=mutation.make_store).run().violation
            if violation.startswith(mutation.found_by) and violation:
                print(f"{mutation.name}: found in schedule {seed}: {violation}")
                return
    pytest.fail(f"not found in {SCHEDULES} schedules")
