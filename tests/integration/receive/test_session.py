"""Sessions with clients that behave, and with those that do not."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any, ClassVar

import pytest

from campaignd import metrics
from campaignd.errors import StoreOutage
from campaignd.feedback import Event, Taken
from campaignd.receive import receiver
from campaignd.receive.content import MAX_OCTETS, Content
from campaignd.receive.judge import Finding, judge
from campaignd.receive.mailbox import Mailbox
from campaignd.receive.receiver import MAX_RECIPIENTS
from campaignd.receive.session import READ_OCTETS, LmtpSession, Session
from tests.fakes.loop import run, until
from tests.integration.receive.line import Client, Store, line, stuffed
from tests.unit.receive.messages import (
    ANNA,
    COMPLAINTS,
    RETURN,
    UNSUBSCRIBE,
    message,
)

BOUNCE = message("postfix-user-unknown")
HELLO = {LmtpSession: "LHLO client.example", Session: "EHLO client.example"}


def received(kind: str, result: str) -> float:
    return metrics.received.labels(kind, result)._value.get()


@pytest.mark.parametrize("kind", [LmtpSession, Session])
def test_a_bounce_a_complaint_and_an_unsubscription(kind: type[Session]) -> None:
    async def main() -> None:
        store = Store()
        async with line(store, kind=kind) as at:
            client = await at.client(HELLO[kind])
            assert await client.deliver(BOUNCE, RETURN) == ["250 2.0.0 OK"]
            assert await client.deliver(message("arf-yahoo"), COMPLAINTS) == ["250 2.0.0 OK"]
            mail = message("unsubscribe-gmail")
            replies = await client.deliver(mail, UNSUBSCRIBE, sender="anna@customer.example")
            assert replies == ["250 2.0.0 OK"]
            assert (await client.say("QUIT")).startswith("221")
        assert [one.event for one in store.taken] == [
            Event.BOUNCED,
            Event.COMPLAINED,
            Event.UNSUBSCRIBED,
        ]
        assert {one.recipient for one in store.taken} == {ANNA}
        assert store.taken[0].detail.startswith("address_bad: 550 5.1.1 <anna@customer.example>")

    run(main())


def test_who_sends_an_answer_without_a_return_path_does_not_unsubscribe() -> None:
    async def main() -> None:
        store = Store()
        async with line(store) as at:
            client = await at.client()
            mail = message("unsubscribe-by-hand")
            assert await client.deliver(mail, UNSUBSCRIBE, sender="") == ["250 2.0.0 OK"]
            assert store.taken == []
            await client.deliver(mail, UNSUBSCRIBE, sender="anna@customer.example")
            assert [one.event for one in store.taken] == [Event.UNSUBSCRIBED]

    run(main())


def test_each_protocol_has_its_greeting() -> None:
    async def main() -> None:
        async with line(Store()) as at:
            client = await Client.connect(at.port)
            assert (await client.greet("EHLO x")).startswith("500")
            assert "SIZE 100000" in await client.say("LHLO x")
        async with line(Store(), kind=Session) as at:
            client = await Client.connect(at.port)
            assert "PIPELINING" not in await client.greet("EHLO x")
            assert (await client.say("LHLO x")).startswith("500")

    run(main())


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("nobody@bounces.example.com", "unknown"),
        ("complaints@example.com", "unknown"),
        (RETURN.replace("b-", "b-0", 1), "forged"),
        (RETURN.replace("b-", "u-", 1), "forged"),
        ("jörg@bounces.example.com", "unknown"),
    ],
)
def test_other_addresses_are_refused_before_anything_is_read(address: str, counted: str) -> None:
    async def main() -> None:
        async with line(Store()) as at:
            client = await at.client()
            before = received("recipient", counted)
            await client.say("MAIL FROM:<>")
            assert (await client.say(f"RCPT TO:<{address}>")).startswith("550 5.1.1 ")
            assert received("recipient", counted) == before + 1
            assert (await client.say("DATA")).startswith("503 5.5.1")
            # a good one is still taken in the same transaction
            assert (await client.say(f"RCPT TO:<{RETURN}>")).startswith("250 ")

    run(main())


def test_lmtp_answers_for_each_recipient() -> None:
    async def main() -> None:
        store = Store(Taken.RECORDED, StoreOutage("away"))
        async with line(store) as at:
            client = await at.client()
            replies = await client.deliver(BOUNCE, RETURN, RETURN, UNSUBSCRIBE)
            assert [reply[:3] for reply in replies] == ["250", "451", "250"]
            assert (await client.say("NOOP")).startswith("250")  # still in step
        assert len(store.taken) == 1  # a bounce unsubscribes nobody

    run(main())


def test_smtp_answers_with_what_has_to_be_tried_again() -> None:
    async def main() -> None:
        store = Store(Taken.RECORDED, StoreOutage("away"))
        async with line(store, kind=Session) as at:
            client = await at.client("EHLO x")
            await client.say("MAIL FROM:<>")
            await client.say(f"RCPT TO:<{RETURN}>")
            await client.say(f"RCPT TO:<{RETURN}>")
            await client.say("DATA")
            client.write(stuffed(BOUNCE))
            assert (await client.reply()).startswith("451 4.3.0")
            assert (await client.say("NOOP")).startswith("250")

    run(main())


def test_an_address_that_is_named_often_is_judged_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """To look for a token may take 0.1 s; a hundred times that would hold up everybody."""
    judged: list[Mailbox] = []

    def counted(content: Content, mailbox: Mailbox, *more: Any, **named: Any) -> Finding:
        judged.append(mailbox)
        return judge(content, mailbox, *more, **named)

    monkeypatch.setattr(receiver, "judge", counted)

    async def main() -> None:
        store = Store()
        async with line(store) as at:
            client = await at.client()
            named = (RETURN, COMPLAINTS, RETURN.upper(), COMPLAINTS)
            assert await client.deliver(BOUNCE, *named) == ["250 2.0.0 OK"] * 4
        assert len(judged) == len(set(judged)) == 2

    run(main())


def test_the_reply_waits_for_the_commit() -> None:
    async def main() -> None:
        store = Store()
        store.gate.clear()
        async with line(store) as at:
            client = await at.client()
            delivery = asyncio.create_task(client.deliver(BOUNCE, RETURN))
            await until(lambda: store.asked == 1, "it is under way")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asyncio.shield(delivery), 0.1)
            store.gate.set()
            assert await delivery == ["250 2.0.0 OK"]

    run(main())


def test_a_bug_keeps_the_mail_where_it_is() -> None:
    async def main() -> None:
        async with line(Store(ValueError("bug"))) as at:
            client = await at.client()
            replies = await client.deliver(BOUNCE, RETURN, RETURN)
            assert [reply[:9] for reply in replies] == ["451 4.3.0"] * 2
            assert await client.deliver(BOUNCE, RETURN) == ["250 2.0.0 OK"]

    run(main())


class Spy(Session):
    """Remembers what the handler gets."""

    seen: ClassVar[list[bytes]] = []

    async def _call_handler_hook(self, command: str, *args: object) -> object:
        if command == "DATA" and self.envelope is not None:
            self.seen.append(self.envelope.original_content or b"")
        return await super()._call_handler_hook(command, *args)


@pytest.fixture(autouse=True)
def forget() -> None:
    Spy.seen.clear()


@pytest.mark.parametrize(
    ("body", "step"),
    [
        *itertools.product(
            [b"", b"\r\n", b".", b"..", b"...\r\n.", b"a\r\n.\nb", b"\n.\n", BOUNCE], [1, 3, 7]
        ),
        *itertools.product([b"x" * 3 * READ_OCTETS, BOUNCE * 50], [1_000, 70_000, 1_000_000]),
    ],
)
def test_the_message_is_what_was_sent_in_whatever_pieces(body: bytes, step: int) -> None:
    async def main() -> None:
        async with line(Store(), kind=Spy, max_octets=1_000_000) as at:
            client = await at.client("EHLO x")
            await client.say("MAIL FROM:<>")
            await client.say(f"RCPT TO:<{RETURN}>")
            await client.say("DATA")
            data = stuffed(body)
            for start in range(0, len(data), step):
                client.write(data[start : start + step])
                await client.writer.drain()
                await asyncio.sleep(0)
            assert (await client.reply()).startswith("250")
        assert Spy.seen == [body if body.endswith(b"\r\n") or not body else body + b"\r\n"]

    run(main())


def test_too_much_is_refused_when_it_is_announced_and_when_it_comes() -> None:
    async def main() -> None:
        store = Store()
        async with line(store, max_octets=20_000) as at:
            client = await at.client()
            assert (await client.say("MAIL FROM:<> SIZE=20001")).startswith("552")
            fits = BOUNCE + b"x" * (20_000 - len(BOUNCE) - 2) + b"\r\n"
            assert await client.deliver(fits, RETURN) == ["250 2.0.0 OK"]
            for data in (fits + b"x", BOUNCE * 500):
                replies = await client.deliver(data, RETURN, RETURN)
                assert [reply[:9] for reply in replies] == ["552 5.3.4"] * 2
            assert (await client.say("NOOP")).startswith("250")
        assert len(store.taken) == 1

    run(main())


def test_of_a_large_message_the_beginning_is_read() -> None:
    """A bounce that returns a message with attachments."""

    async def main() -> None:
        store = Store()
        async with line(store, kind=Spy, max_octets=5 * MAX_OCTETS) as at:
            client = await at.client("EHLO x")
            returned = (b"0123456789" * 7 + b"\r\n") * 60_000
            assert len(returned) > 4 * MAX_OCTETS
            head, marker, rest = BOUNCE.rpartition(b"--4Xyz34")
            replies = await client.deliver(head + returned + marker + rest, RETURN)
            assert replies == ["250 2.0.0 OK"]
        [told] = store.taken
        [kept] = Spy.seen
        assert MAX_OCTETS <= len(kept) < 2 * MAX_OCTETS
        assert (told.event, told.enhanced) == (Event.BOUNCED, "5.1.1")

    run(main())


def test_a_line_without_end_is_refused() -> None:
    """Ten times the limit without a line end, at the end of the message."""

    async def main() -> None:
        async with line(Store(), max_octets=20_000) as at:
            client = await at.client()
            await client.say("MAIL FROM:<>")
            await client.say(f"RCPT TO:<{RETURN}>")
            await client.say("DATA")
            for _ in range(40):
                client.write(b"x" * 5_000)
                await client.writer.drain()
            client.write(b"\r\n.\r\n")
            assert (await client.reply()).startswith("552 5.3.4")

    run(main())


def test_commands_behind_the_final_dot_are_nobodys() -> None:
    """What a careless server in front took for the end of a message may be within it."""

    async def main() -> None:
        store = Store()
        async with line(store) as at:
            client = await at.client()
            await client.say("MAIL FROM:<>")
            await client.say(f"RCPT TO:<{RETURN}>")
            await client.say("DATA")
            client.write(stuffed(BOUNCE) + b"MAIL FROM:<>\r\nRCPT TO:<x@y>\r\n")
            assert (await client.reply()).startswith("250")
            assert (await client.reply()).startswith("421 4.7.0")
            assert await client.reply() == ""
        assert len(store.taken) == 1

    run(main())


def test_more_connections_than_allowed() -> None:
    async def main() -> None:
        async with line(Store(), connections=2) as at:
            first, second = await at.client(), await at.client()
            third = await Client.connect(at.port)
            assert (await third.reply()).startswith("421 4.3.2")
            assert await third.reply() == ""
            first.close()
            await until(lambda: len(at.receiver.sessions) == 1, "the first has gone")
            again = await at.client()
            assert await again.deliver(BOUNCE, RETURN) == ["250 2.0.0 OK"]
            assert (await second.say("NOOP")).startswith("250")

    run(main())


@pytest.mark.parametrize("said", [b"", b"MAIL FROM:<>\r\n", b"DATA"])
def test_a_silent_client_is_cut_off(said: bytes) -> None:
    async def main() -> None:
        async with line(Store(), timeout=0.2) as at:
            client = await at.client()
            if said == b"DATA":
                await client.say("MAIL FROM:<>")
                await client.say(f"RCPT TO:<{RETURN}>")
                assert (await client.say("DATA")).startswith("354")
                client.write(b"Subject: never ends\r\n")
            else:
                client.write(said)
                if said:
                    await client.reply()
            assert await client.reply() == ""
            await until(lambda: not at.receiver.sessions, "it is gone")

    run(main())


@pytest.mark.parametrize("after", ["greeting", "MAIL", "DATA", "half", "dot"])
def test_a_client_that_is_lost(after: str) -> None:
    """Whenever that happens: nobody else notices, and nothing is recorded by halves."""

    async def main() -> None:
        store = Store()
        async with line(store) as at:
            client = await at.client()
            if after != "greeting":
                await client.say("MAIL FROM:<>")
            if after in ("DATA", "half", "dot"):
                await client.say(f"RCPT TO:<{RETURN}>")
                await client.say("DATA")
            if after == "half":
                client.write(BOUNCE[: len(BOUNCE) // 2])
            if after == "dot":
                store.gate.clear()
                client.write(stuffed(BOUNCE))
                await until(lambda: store.asked == 1, "it is there")
            client.writer.transport.abort()
            await until(lambda: not at.receiver.sessions, "it is gone")
            store.gate.set()
            other = await at.client()
            assert await other.deliver(BOUNCE, RETURN) == ["250 2.0.0 OK"]
        assert len(store.taken) == 1

    run(main())


def test_recipients_have_a_limit() -> None:
    async def main() -> None:
        async with line(Store()) as at:
            client = await at.client()
            await client.say("MAIL FROM:<>")
            for _ in range(MAX_RECIPIENTS):
                assert (await client.say(f"RCPT TO:<{RETURN}>")).startswith("250")
            assert (await client.say(f"RCPT TO:<{RETURN}>")).startswith("452 4.5.3")

    run(main())


@pytest.mark.parametrize(
    "said",
    [
        b"\x00\xff",
        b"MAIL",
        b"RCPT TO:<x>",
        b"DATA",
        b"BDAT 5 LAST",
        b"A" * 5_000,
        b"AUTH PLAIN AA==",
    ],
)
def test_nonsense_is_answered_with_an_error(said: bytes) -> None:
    async def main() -> None:
        async with line(Store()) as at:
            client = await at.client()
            assert (await client.say(said))[:1] == "5"
            assert await client.deliver(BOUNCE, RETURN) == ["250 2.0.0 OK"]

    run(main())


def test_kinds_and_results_are_counted() -> None:
    async def main() -> None:
        async with line(Store(Taken.RECORDED, Taken.REPEATED, Taken.NO_CAMPAIGN)) as at:
            client = await at.client()
            results = ("recorded", "repeated", "no-campaign")
            before = [received("bounce", result) for result in results]
            other = received("other", "auto-reply")
            for _ in results:
                assert await client.deliver(BOUNCE, RETURN) == ["250 2.0.0 OK"]
            assert await client.deliver(message("vacation-unix"), RETURN) == ["250 2.0.0 OK"]
            after = [received("bounce", result) for result in results]
            assert [b - a for a, b in zip(before, after, strict=True)] == [1, 1, 1]
            assert received("other", "auto-reply") == other + 1

    run(main())
