"""What a real Postfix answers, and what we make of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from campaignd.model import Job, Outcome
from tests.fakes.jobs import make_job
from tests.fakes.loop import run
from tests.integration.net.pools import relay, rig
from tests.integration.postfix.arrivals import by_recipient
from tests.integration.postfix.instance import Postfix, running
from tests.integration.postfix.settings import UNKNOWN

LATER = "later@example.com"
LIMIT = 60_000
"""Octets that a message may have; more than go out in one piece with their final dot."""
TRACE = 1_000
"""Octets of that limit which Postfix may use for the envelope and its trace line."""


@pytest.fixture
def server() -> Iterator[Postfix]:
    with running(
        {
            "smtp": {},
            "lockstep": {"smtpd_discard_ehlo_keywords": "pipelining"},
            "sizeless": {"smtpd_discard_ehlo_keywords": "size"},
            "ascii": {"smtpd_discard_ehlo_keywords": "8bitmime, smtputf8"},
        },
        {
            "message_size_limit": str(LIMIT),
            # from the tenth error on Postfix would only become slow, which a test cannot see
            "smtpd_hard_error_limit": "10",
            "smtpd_recipient_restrictions": "check_recipient_access"
            f" inline:{{{{{LATER} = 450 4.2.1 mailbox is busy}}}}",
        },
    ) as postfix:
        yield postfix


@pytest.mark.parametrize("service", ["smtp", "lockstep"])
def test_unknown_recipients(server: Postfix, service: str) -> None:
    """Each is rejected as Postfix says, and all of them do not wear its patience out."""

    async def main() -> None:
        async with rig(relay(server.port(service), connections=1)) as r:
            jobs = [make_job(n, recipient=f"{UNKNOWN}{n}@b.example".encode()) for n in range(40)]
            for job, verdict in zip(jobs, await r.send(*jobs), strict=True):
                assert verdict[:3] == (Outcome.REJECTED, 550, "5.1.1")
                assert job.recipient.decode() in verdict.text
                assert "User unknown" in verdict.text

    run(main())
    assert server.logged("too many errors") == []
    assert by_recipient(server) == {}


@pytest.mark.parametrize("service", ["smtp", "lockstep"])
def test_every_answer_belongs_to_its_message(server: Postfix, service: str) -> None:
    """Good and bad ones in turn on one session: replies and messages never get out of step."""
    expected = {}
    jobs = []
    for n in range(60):
        recipient = (f"user{n}@b.example", f"{UNKNOWN}{n}@b.example", LATER)[n % 3]
        expected[n] = (Outcome.ACCEPTED, Outcome.REJECTED, Outcome.DEFERRED)[n % 3]
        jobs.append(make_job(n, recipient=recipient.encode()))

    async def main() -> None:
        async with rig(relay(server.port(service), connections=1)) as r:
            await r.send(*jobs)
            found = r.reports.verdicts
            assert {n: verdict.outcome for n, verdict in found.items()} == expected
            assert {(v.code, v.enhanced) for v in found.values()} == {
                (250, "2.0.0"),
                (550, "5.1.1"),
                (450, "4.2.1"),
            }
            await r.pool.drain(5)

    run(main())
    arrived = by_recipient(server)
    assert sorted(arrived) == sorted(f"user{n}@b.example" for n in range(0, 60, 3))
    assert all(one.message["Subject"] == address[4:-10] for address, one in arrived.items())
    # Postfix saw one client that came once and kept to the rules
    assert server.logged("improper command pipelining") == []
    assert len(server.logged(": connect from")) == 2  # one is the look whether it answers


def test_too_large_as_announced(server: Postfix) -> None:
    """Judged before a command is written."""

    async def main() -> None:
        async with rig(relay(server.port())) as r:
            fits = make_job(0, message=letter(LIMIT - TRACE))
            assert await r.outcomes(fits) == [Outcome.ACCEPTED]
            (verdict,) = await r.send(make_job(1, message=letter(LIMIT + 1)))
            assert verdict[:3] == (Outcome.REJECTED, 0, "5.3.4")
            await r.pool.drain(5)

    run(main())
    assert list(by_recipient(server)) == ["user0@example.com"]


def test_too_large_as_it_turns_out(server: Postfix) -> None:
    async def main() -> None:
        async with rig(relay(server.port("sizeless"), connections=1)) as r:
            large, small = make_job(1, message=letter(3 * LIMIT)), make_job(2)
            (refused, taken) = await r.send(large, small)
            assert refused[:3] == (Outcome.REJECTED, 552, "5.3.4")
            assert taken.outcome is Outcome.ACCEPTED
            await r.pool.drain(5)

    run(main())
    assert list(by_recipient(server)) == ["user2@example.com"]


def test_eight_bit_and_utf8_only_where_they_are_offered(server: Postfix) -> None:
    head = b"Mime-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
    eight = head + b"Content-Transfer-Encoding: 8bit\r\n\r\nsch\xc3\xb6n\r\n.\r\n"
    seven = head + b"Content-Transfer-Encoding: quoted-printable\r\n\r\nsch=C3=B6n\r\n.\r\n"

    def jobs(service: str) -> list[Job]:
        return [
            make_job(
                1,
                recipient=f"eight@{service}.example".encode(),
                message=eight,
                eight_bit=True,
                recode=lambda: seven,
            ),
            make_job(2, recipient=f"jörg@{service}.example".encode(), smtputf8=True),
        ]

    async def main() -> None:
        async with rig(relay(server.port())) as r:
            assert await r.outcomes(*jobs("smtp")) == [Outcome.ACCEPTED] * 2
            await r.pool.drain(5)
        async with rig(relay(server.port("ascii"))) as r:
            taken, refused = await r.send(*jobs("ascii"))
            assert taken.outcome is Outcome.ACCEPTED
            assert refused[:3] == (Outcome.REJECTED, 0, "5.6.7")
            await r.pool.drain(5)

    run(main())
    found = by_recipient(server)
    assert sorted(found) == ["eight@ascii.example", "eight@smtp.example", "jörg@smtp.example"]
    assert found["jörg@smtp.example"].protocol == "UTF8SMTP"
    for address, encoding in (("ascii", "quoted-printable"), ("smtp", "8bit")):
        message = found[f"eight@{address}.example"].message
        assert message["Content-Transfer-Encoding"] == encoding
        assert message.get_content() == "schön\n"


def letter(octets: int) -> bytes:
    """A message of this length, its final dot not counted."""
    head = b"Subject: "
    line = b"x" * 78 + b"\r\n"
    lines, rest = divmod(octets - len(head) - 4, len(line))
    return head + b"s" * rest + b"\r\n\r\n" + line * lines + b".\r\n"
