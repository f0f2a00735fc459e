"""Messages with large files through real sessions."""

from __future__ import annotations

from pathlib import Path

import pytest

from campaignd.compose import CampaignSpec, Composer
from campaignd.compose.spec import Attached
from campaignd.model import Job, Outcome, SendRight
from campaignd.preview import content
from campaignd.sandbox.sink import Sink
from tests.fakes.certificates import Authority
from tests.fakes.jobs import FOREVER
from tests.fakes.loop import run
from tests.integration.net.pools import relay, rig

FILE = Attached("terms.pdf", "application/pdf", bytes(range(256)) * 8_000)
SPEC = CampaignSpec(
    name="n",
    account="acme",
    sender="news@acme.example",
    subject="Hi",
    text="Hello\n.\n{{ email }}",
    attachments=[FILE],
)


@pytest.mark.parametrize("tls", ["none", "implicit"])
def test_every_recipient_gets_the_shared_file(tmp_path: Path, tls: str) -> None:
    authority = Authority(tmp_path)
    context = authority.server("127.0.0.1")
    composer = Composer(SPEC, 1, [])
    made = {
        seq: composer.compose(0, seq, f"u{seq}@a.example", [], date=b"x", eight_bit=False)
        for seq in range(1, 21)
    }
    right = SendRight(FOREVER)
    jobs = [
        Job(None, right, seq, 1, False, one.sender, b"u%d@a.example" % seq, one.message,
            tail=one.tail)
        for seq, one in made.items()
    ]  # fmt: skip

    async def main() -> None:
        secure = {"tls": context, "implicit_tls": True} if tls == "implicit" else {}
        async with Sink(keep=100, **secure) as sink:  # type: ignore[arg-type]
            settings = {"tls": tls, "tls_ca_file": str(authority.file), "connections": 4}
            async with rig(relay(sink.port, **settings)) as found:
                assert set(await found.outcomes(*jobs)) == {Outcome.ACCEPTED}
            took = {one.recipients[0]: one.content for one in sink.kept}
            assert took == {f"u{seq}@a.example": content(one.wire) for seq, one in made.items()}

    run(main())
