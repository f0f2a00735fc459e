"""Postfix goes away in the middle of a campaign and comes back: nothing is lost."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from campaignd.config import Relay
from campaignd.sandbox.box import Sandbox
from tests.e2e.site import Site
from tests.integration.postfix.arrivals import arrivals
from tests.integration.postfix.instance import Postfix

COUNT = 600
RATE = 300.0
"""Messages a second, so that there is a middle."""


@pytest.fixture
def site(sandbox: Sandbox, database: str, tmp_path: Path, postfix: Postfix) -> Iterator[Site]:
    """Its relay is Postfix."""
    with Site(sandbox, database, tmp_path) as built:
        relay = Relay(
            name="postfix", host="127.0.0.1", port=postfix.port(), tls="none", connections=10
        )
        built.config = built.configure(relays=[relay], rate=RATE)
        yield built


@pytest.mark.parametrize("end", ["stop", "crash"])
def test_nothing_is_lost(site: Site, postfix: Postfix, end: str) -> None:
    daemon = site.daemon()
    campaign = site.enqueue(COUNT)
    site.until(lambda: delivered(postfix) >= COUNT // 4, "a quarter is delivered")
    getattr(postfix, end)()
    assert delivered(postfix) < COUNT
    site.until(lambda: daemon.events("relay-trouble"), "the daemon has noticed")
    postfix.start()
    counts = site.until_state(campaign, "finished")["counts"]
    assert counts["accepted"] == counts["total"] == COUNT

    took = Counter(arrival.recipient for arrival in arrivals(postfix))
    lines = site.outcomes(campaign)
    assert set(took) == {line["address"] for line in lines}
    marked = Counter(line["address"] for line in lines if line["maybe_duplicate"])
    twice = {who: times for who, times in took.items() if times > 1}
    assert all(times - 1 <= marked[who] for who, times in twice.items()), (twice, marked)
    # what was in doubt is what sessions had behind their final dots
    assert len(marked) <= 10


def delivered(postfix: Postfix) -> int:
    """Messages in the Maildir."""
    new = postfix.maildir / "new"
    return len(os.listdir(new)) if new.exists() else 0
