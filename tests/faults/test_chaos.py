"""The long run in short: a minute with a fixed seed."""

from __future__ import annotations

import pytest

from tests.faults import chaos


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_minute_of_chaos() -> None:
    findings = chaos.run(seconds=60, seed=1, recipients=20_000)
    print(findings.text())
    assert not findings.problems(), findings.text()
    assert findings.faults.total() >= 25
    assert findings.r1_read > 50
