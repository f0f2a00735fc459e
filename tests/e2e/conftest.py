"""The installed command in processes, on the shared servers, with a database of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from campaignd.sandbox.box import Sandbox
from tests.e2e.site import Site


@pytest.fixture
def site(sandbox: Sandbox, database: str, tmp_path: Path) -> Iterator[Site]:
    """A configured campaignd with a sink that accepts everything; no daemon runs yet."""
    with Site(sandbox, database, tmp_path) as built:
        yield built
