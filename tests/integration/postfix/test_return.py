"""What comes back through a real Postfix: it takes a campaign, cannot deliver a part of it, and its
own notices reach `campaignd receive` over LMTP, as events and suppressions."""

from __future__ import annotations

import re
import smtplib
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from campaignd.config import Relay
from campaignd.sandbox.box import Sandbox
from campaignd.sandbox.policy import Fate, Rule, SinkPolicy
from campaignd.sandbox.supervisor import unused_port
from tests.e2e.receiving import DOMAIN, Receiving, configure
from tests.e2e.site import Site
from tests.integration.postfix.arrivals import by_recipient
from tests.integration.postfix.instance import Postfix, running

COUNT = 12
GONE = 5
"""So many of them are at a host that does not know them."""


class Way:
    """A site whose relay is a Postfix, which forwards one domain to the site's sink, and the
    bounces' domain to `receive`."""

    def __init__(self, site: Site, postfix: Postfix, receiving: Receiving) -> None:
        self.site, self.postfix, self.receiving = site, postfix, receiving


@pytest.fixture(params=["inet", "unix"])
def way(
    request: pytest.FixtureRequest, sandbox: Sandbox, database: str, tmp_path: Path
) -> Iterator[Way]:
    with Site(sandbox, database, tmp_path) as site, TemporaryDirectory() as reachable:
        Path(reachable).chmod(0o711)  # Postfix's processes are other users
        site.resink(SinkPolicy(rules=(Rule(Fate.REJECT, prefix="gone"),)))
        port = unused_port()
        socket = Path(reachable) / "receive.sock"
        listen, hop = {
            "inet": (f"127.0.0.1:{port}", f"inet:127.0.0.1:{port}"),
            "unix": (str(socket), f"unix:{socket}"),
        }[request.param]
        transports = (
            f"inline:{{ {{elsewhere.example = smtp:[127.0.0.1]:{site.sink.port}}},"
            f" {{{DOMAIN} = lmtp:{hop}}} }}"
        )
        with running(settings={"transport_maps": transports}) as postfix:
            relay = Relay(name="postfix", host="127.0.0.1", port=postfix.port(), tls="none")
            configure(site, relays=[relay])
            receiving = Receiving(site, site.config, "--listen", listen)
            receiving.start()
            yield Way(site, postfix, receiving)


def test_a_bounce_becomes_an_event_and_a_suppression(way: Way) -> None:
    site = way.site
    site.campaign()
    (site.folder / "r.csv").write_text(
        "email,name\n"
        + "".join(
            f"{'gone' if n < GONE else 'here'}{n}@elsewhere.example,Name {n}\n"
            for n in range(COUNT)
        )
    )
    site.daemon()
    campaign = int(site.ok("enqueue", "c.toml", "--recipients", "r.csv").stdout)
    status = site.until_state(campaign, "finished")
    assert status["counts"]["accepted"] == COUNT  # Postfix did accept them all

    site.until(lambda: site.status(campaign)["events"]["bounced"] == GONE, "they have come back")
    assert site.status(campaign)["counts"] == status["counts"]
    for line in site.outcomes(campaign):
        gone = line["address"].startswith("gone")
        assert line["outcome"] == "accepted"
        assert [event["event"] for event in line["events"]] == (["bounced"] if gone else [])
        for event in line["events"]:
            assert (event["source"], event["enhanced"]) == ("dsn", "5.1.1")
            assert re.match(r"address_bad: 550 5\.1\.1 ", event["detail"])
    assert way.postfix.queued() == 0

    # The next campaign leaves them out.
    again = int(site.ok("enqueue", "c.toml", "--recipients", "r.csv").stdout)
    counts = site.until_state(again, "finished")["counts"]
    assert (counts["accepted"], counts["suppressed"]) == (COUNT - GONE, GONE)


def test_an_unsubscription_by_mail_through_postfix(way: Way) -> None:
    """The address is the one that the message itself has in List-Unsubscribe."""
    site = way.site
    site.campaign()
    (site.folder / "r.csv").write_text("email,name\nanna@local.example,Anna\n")
    site.daemon()
    campaign = int(site.ok("enqueue", "c.toml", "--recipients", "r.csv").stdout)
    site.until_state(campaign, "finished")
    message = by_recipient(way.postfix)["anna@local.example"].message
    found = re.search(r"mailto:([^?>]+)", str(message["List-Unsubscribe"]))
    assert found is not None
    with smtplib.SMTP("127.0.0.1", way.postfix.port()) as client:
        client.sendmail("anna@local.example", [found[1]], "Subject: unsubscribe\r\n\r\n")
    site.until(lambda: site.status(campaign)["events"]["unsubscribed"] == 1, "she has left")
