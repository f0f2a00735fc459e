"""Servers for the tests that kill and freeze them: nobody else uses these."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from campaignd.sandbox.box import Sandbox


@pytest.fixture(scope="session")
def fault_box() -> Iterator[Sandbox]:
    with Sandbox() as box:
        yield box


@pytest.fixture
def box(fault_box: Sandbox) -> Sandbox:
    """Both servers run and are thawed, whatever the test before did."""
    for server in (fault_box.mariadb, fault_box.redis):
        if server.running:
            server.thaw()
        else:
            server.start()
    return fault_box
