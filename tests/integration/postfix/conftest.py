"""A real Postfix: the tests here need root, as Postfix itself does."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.fakes.certificates import Authority
from tests.integration.postfix.instance import Postfix, running


@pytest.fixture(scope="session", autouse=True)
def root() -> None:
    if os.geteuid() != 0:
        pytest.skip("Postfix can only be started by root: run these tests as root")


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The one that the relays trust."""
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def postfix() -> Iterator[Postfix]:
    """One with its usual settings, for this test alone."""
    with running() as instance:
        yield instance
