"""The sink's side of SMTP: what it answers, however the octets are cut."""

from __future__ import annotations

import base64
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaignd.config import Secret
from campaignd.sandbox.auth import Credentials
from campaignd.sandbox.commands import Commands
from campaignd.sandbox.counters import Counters
from campaignd.sandbox.dialogue import Dialogue
from campaignd.sandbox.policy import Fate, Rule, SinkPolicy
from campaignd.sandbox.receiver import Delivery

EHLO = b"EHLO client.example\r\n"
GROUP = b"MAIL FROM:<a@a.example>\r\nRCPT TO:<b@b.example>\r\nDATA\r\n"
OPENED = "250 250 354"


class Collector:
    """A receiver that keeps what it takes and gives out fates by recipient."""

    def __init__(self, policy: SinkPolicy, fates: dict[bytes, Fate]) -> None:
        self.policy = policy
        self.counters = Counters()
        self.taken: list[Delivery] = []
        self.fates = fates

    def take(self, delivery: Delivery) -> None:
        self.taken.append(delivery)

    def fate(self, recipient: bytes) -> Fate | None:
        return self.fates.get(recipient)


class Client:
    """Talks to a dialogue; `say` returns the codes of the replies, `-` for nothing."""

    def __init__(
        self,
        policy: SinkPolicy | None = None,
        *,
        fates: dict[bytes, Fate] | None = None,
        starttls: bool = False,
        credentials: Credentials | None = None,
    ) -> None:
        self.sink = Collector(policy or SinkPolicy(), fates or {})
        if fates and not self.sink.policy.rules:
            raise ValueError("fates are asked for only under a policy with rules")
        self.commands = Commands(self.sink, 1, starttls=starttls, credentials=credentials)
        self.dialogue = Dialogue(self.sink, self.commands)

    def say(self, data: bytes) -> str:
        return codes(self.dialogue.receive(data))


def codes(replies: bytes) -> str:
    lines = replies.split(b"\r\n")
    assert lines.pop() == b""  # every reply is whole
    return " ".join(line[:3].decode() for line in lines if line[3:4] != b"-") or "-"


def with_rules(**settings: object) -> SinkPolicy:
    return SinkPolicy(rules=(Rule(Fate.DEFER, prefix="?"),), **settings)  # type: ignore[arg-type]


def test_a_whole_session() -> None:
    client = Client()
    assert client.commands.greet().startswith(b"220 ")
    assert client.say(EHLO) == "250"
    assert client.say(b"MAIL FROM:<a@a.example> SIZE=10 BODY=8BITMIME\r\n") == "250"
    assert client.say(b"RCPT TO:<b@b.example>\r\n") == "250"
    assert client.say(b"rcpt to:<c@c.example>\r\n") == "250"
    assert client.say(b"DATA\r\n") == "354"
    assert client.say(b"Subject: hi\r\n\r\n..dot\r\n.\r\n") == "250"
    assert client.sink.taken == [
        Delivery(
            1, b"a@a.example", (b"b@b.example", b"c@c.example"), b"Subject: hi\r\n\r\n..dot\r\n"
        )
    ]
    assert not client.commands.in_transaction
    assert client.say(b"QUIT\r\n") == "221"
    assert client.commands.closing
    assert client.say(b"NOOP\r\n") == "-"


def test_ehlo_lists_what_the_policy_offers() -> None:
    plain = Client().dialogue.receive(EHLO)
    for word in (b"PIPELINING", b"8BITMIME", b"SMTPUTF8", b"SIZE 52428800", b"ENHANCEDSTATUSCODES"):
        assert b"250-" + word in plain or b"250 " + word in plain
    assert b"STARTTLS" not in plain
    assert b"AUTH" not in plain
    bare = SinkPolicy(
        pipelining=False, eight_bit_mime=False, smtputf8=False, enhanced_status_codes=False
    )
    assert Client(bare).dialogue.receive(EHLO) == b"250-sink.localhost\r\n250 SIZE 52428800\r\n"
    assert Client(bare).dialogue.receive(b"NOOP\r\n") == b"250 still here\r\n"
    assert Client().dialogue.receive(b"HELO x\r\n") == b"250 sink.localhost\r\n"


CONTENT = st.lists(
    st.sampled_from([b"a", b"x" * 50, b".", b"..", b"\r\n", b"\r\n..", b"\r", b"\n", b"\xc3\xa9"]),
    max_size=12,
).map(lambda parts: b"".join(parts) + b"\r\n")


def stuffed(content: bytes) -> bytes:
    return (b"\r\n" + content).replace(b"\r\n.", b"\r\n..")[2:]


@given(st.lists(CONTENT, min_size=1, max_size=4), st.data())
def test_cut_anywhere_it_says_the_same(contents: list[bytes], data: st.DataObject) -> None:
    stream = EHLO
    for content in contents:
        stream += GROUP + stuffed(content) + b".\r\n"
    stream += b"RSET\r\nQUIT\r\n"
    whole = Client()
    expected = whole.dialogue.receive(stream)
    assert codes(expected) == " ".join(["250", *[OPENED + " 250"] * len(contents), "250 221"])
    assert [one.content for one in whole.sink.taken] == [stuffed(content) for content in contents]

    cuts = sorted(data.draw(st.sets(st.integers(1, len(stream) - 1), max_size=20)))
    for pieces in (cuts, range(1, len(stream))):
        client = Client()
        edges = [0, *pieces, len(stream)]
        answer = b"".join(
            client.dialogue.receive(stream[start:end]) for start, end in pairwise(edges)
        )
        assert answer == expected
        assert client.sink.taken == whole.sink.taken


def test_empty_content() -> None:
    client = Client()
    client.say(EHLO + GROUP)
    assert client.say(b".\r\nNOOP\r\n") == "250 250"
    assert client.sink.taken[0].content == b""


@given(
    st.lists(
        st.sampled_from([EHLO, GROUP, b"RSET\r\n", b".\r\n", b"AUTH PLAIN\r\n", b"\r\n"])
        | st.binary(max_size=30),
        max_size=30,
    )
)
def test_garbage_gets_whole_replies_and_no_exception(parts: list[bytes]) -> None:
    client = Client(credentials=Credentials("user", Secret("secret")))
    for part in parts:
        codes(client.dialogue.receive(part))


def test_bad_commands_end_the_session() -> None:
    client = Client()
    assert client.say(b"XYZZY\r\n" * 30).split() == ["500"] * 20 + ["421"]
    assert client.commands.closing
    assert client.sink.counters.bad_commands == 21


def test_an_endless_line_ends_the_session() -> None:
    client = Client()
    replies = [client.say(b"x" * 1000) for _ in range(13)]
    assert replies == ["-"] * 12 + ["500"]
    assert client.commands.closing


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"MAIL FROM:<>", "250"),
        (b'MAIL FROM:<"a b>c"@a.example>', "250"),
        (b"MAIL FROM: <a@a.example>", "250"),
        (b"MAIL FROM:<a@a.example> SMTPUTF8", "250"),
        ("MAIL FROM:<é@a.example> SMTPUTF8".encode(), "250"),
        ("MAIL FROM:<é@a.example>".encode(), "553"),
        (b"MAIL FROM:<a@a.example> SIZE=1001", "552"),
        (b"MAIL FROM:<a@a.example> SIZE=1000", "250"),
        (b"MAIL FROM:<a@a.example> NOVELTY=1", "555"),
        (b"MAIL FROM:a@a.example", "501"),
        (b"MAIL FROM:<a b@a.example>", "501"),
        (b"MAIL TO:<a@a.example>", "501"),
        (b"RCPT TO:<a@a.example>", "503"),
        (b"DATA", "503"),
        (b"STARTTLS", "502"),
        (b"AUTH PLAIN AAAA", "503"),
        (b"VRFY a", "252"),
        (b"EHLO ", "501"),
    ],
)
def test_one_command(line: bytes, code: str) -> None:
    client = Client(SinkPolicy(size_limit=1000))
    assert client.say(EHLO) == "250"
    assert client.say(line + b"\r\n") == code


def test_order_matters() -> None:
    client = Client()
    assert client.say(GROUP) == "503 503 503"  # no EHLO
    client.say(EHLO)
    assert (
        client.say(b"MAIL FROM:<a@a.example>\r\nMAIL FROM:<a@a.example>\r\nDATA\r\n")
        == "250 503 554"
    )
    assert client.say(b"RSET\r\n" + GROUP) == "250 " + OPENED


def test_a_message_that_is_too_big_is_refused_without_keeping_it() -> None:
    client = Client(SinkPolicy(size_limit=1000))
    client.say(EHLO + GROUP)
    for _ in range(100):
        assert client.say(b"x" * 97 + b"\r\n.") == "-"
        assert len(client.dialogue._content) < 1200
    assert client.say(b"\r\nNOOP\r\n") == "552 250"
    assert client.say(GROUP + b"small\r\n.\r\n") == OPENED + " 250"
    assert client.say(GROUP + b"x" * 999 + b"\r\n.\r\n") == OPENED + " 552"
    assert [one.content for one in client.sink.taken] == [b"small\r\n"]


def test_refused_at_rcpt() -> None:
    client = Client(with_rules(), fates={b"b@b.example": Fate.REJECT, b"c@c.example": Fate.DEFER})
    client.say(EHLO)
    assert client.say(GROUP) == "250 550 554"
    assert (
        client.say(b"RCPT TO:<c@c.example>\r\nRCPT TO:<d@d.example>\r\nDATA\r\n") == "451 250 354"
    )
    assert client.say(b"hi\r\n.\r\n") == "250"
    assert client.sink.taken[0].recipients == (b"d@d.example",)
    assert (client.sink.counters.rejected, client.sink.counters.deferred) == (1, 1)


@pytest.mark.parametrize(("fate", "code"), [(Fate.REJECT, "550"), (Fate.DEFER, "451")])
def test_refused_at_the_final_dot(fate: Fate, code: str) -> None:
    client = Client(with_rules(at="final-dot"), fates={b"b@b.example": fate})
    client.say(EHLO)
    assert client.say(GROUP) == OPENED
    assert client.say(b"hi\r\n.\r\n" + GROUP) == f"{code} {OPENED}"
    assert client.sink.taken == []


@pytest.mark.parametrize(("fate", "taken"), [(Fate.DROP, 0), (Fate.SWALLOW, 1)])
def test_closed_after_the_final_dot(fate: Fate, taken: int) -> None:
    client = Client(with_rules(), fates={b"b@b.example": fate})
    client.say(EHLO)
    assert client.say(GROUP) == OPENED
    assert client.say(b"hi\r\n.\r\n" + GROUP) == "-"
    assert client.commands.closing
    assert len(client.sink.taken) == taken


def test_a_delayed_reply_holds_back_all_that_follows() -> None:
    client = Client(SinkPolicy(delay=2.5))
    client.say(EHLO + GROUP)
    assert client.say(b"one\r\n.\r\n" + GROUP + b"two") == "-"
    assert client.commands.hold == 2.5
    assert len(client.sink.taken) == 1  # taken before the delay, as a queue would
    assert codes(client.dialogue.resume()) == "250 " + OPENED
    assert client.say(b"\r\n.\r\n") == "-"
    assert codes(client.dialogue.resume()) == "250"
    assert client.commands.hold == 0


def test_limits_of_sessions_and_messages() -> None:
    client = Client(SinkPolicy(messages_per_session=1, max_sessions=1))
    client.say(EHLO + GROUP)
    assert client.say(b"hi\r\n.\r\n" + GROUP) == "250 421"
    assert client.commands.closing
    client.sink.counters.sessions = 2
    assert Commands(client.sink, 2).greet().startswith(b"421 ")
    assert client.sink.counters.refused == 1


def test_idle() -> None:
    client = Client()
    assert codes(client.commands.expire()) == "421"
    assert client.commands.closing


def test_early_input_is_counted() -> None:
    patient = Client()
    patient.say(EHLO + GROUP)
    patient.say(b"hi\r\n.\r\n" + GROUP)
    assert patient.sink.counters.early_input == 0
    patient.say(b"hi\r\n.\r\n" + GROUP + b"before 354")
    assert patient.sink.counters.early_input == 1
    lockstep = Client(SinkPolicy(pipelining=False))
    lockstep.say(EHLO)
    assert lockstep.say(GROUP) == OPENED
    assert lockstep.sink.counters.early_input == 2


def test_faulty_content_is_counted() -> None:
    client = Client()
    client.say(EHLO + GROUP)
    client.say(b"bare\nline\r\n.\r\n" + GROUP)
    client.say("é\r\n.\r\n".encode() + b"MAIL FROM:<> BODY=8BITMIME\r\nRCPT TO:<b@b>\r\nDATA\r\n")
    client.say("é\r\n.\r\n".encode())
    assert client.sink.counters.bare_line_feeds == 1
    assert client.sink.counters.undeclared_eight_bit == 1
    assert len(client.sink.taken) == 3


def test_starttls_forgets_and_takes_no_plaintext_along() -> None:
    client = Client(starttls=True)
    assert b"STARTTLS" in client.dialogue.receive(EHLO)
    assert client.say(b"STARTTLS\r\n") == "220"
    assert client.commands.starttls
    client.commands.secured()
    assert client.say(GROUP) == "503 503 503"
    assert b"STARTTLS" not in client.dialogue.receive(EHLO)
    assert client.say(GROUP) == OPENED

    attacked = Client(starttls=True)
    assert attacked.say(EHLO + b"STARTTLS\r\nRSET\r\n") == "250 220"
    assert attacked.commands.closing


PLAIN = base64.b64encode(b"\0user\0secret")
USER, PASSWORD = base64.b64encode(b"user"), base64.b64encode(b"secret")


@pytest.mark.parametrize(
    ("lines", "replies"),
    [
        ([b"AUTH PLAIN " + PLAIN], "235"),
        ([b"AUTH PLAIN", PLAIN], "334 235"),
        ([b"auth login", USER, PASSWORD], "334 334 235"),
        ([b"AUTH LOGIN " + USER, PASSWORD], "334 235"),
        ([b"AUTH PLAIN " + base64.b64encode(b"\0user\0wrong")], "535"),
        ([b"AUTH LOGIN", USER, USER], "334 334 535"),
        ([b"AUTH PLAIN", b"*"], "334 535"),
        ([b"AUTH LOGIN ="], "334"),
        ([b"AUTH PLAIN ?"], "535"),
        ([b"AUTH CRAM-MD5"], "535"),
    ],
)
def test_auth(lines: list[bytes], replies: str) -> None:
    client = Client(credentials=Credentials("user", Secret("secret")))
    assert client.say(GROUP) == "503 503 503"
    assert b"AUTH PLAIN LOGIN" in client.dialogue.receive(EHLO)
    assert client.say(GROUP) == "530 503 503"
    assert " ".join(client.say(line + b"\r\n") for line in lines) == replies
    if replies.endswith("235"):
        assert client.say(GROUP) == OPENED


def test_auth_is_offered_only_under_tls_where_there_is_tls() -> None:
    client = Client(starttls=True, credentials=Credentials("user", Secret("secret")))
    assert b"AUTH" not in client.dialogue.receive(EHLO)
    assert client.say(b"AUTH PLAIN " + PLAIN + b"\r\n") == "503"
    client.say(b"STARTTLS\r\n")
    client.commands.secured()
    assert b"AUTH" in client.dialogue.receive(EHLO)
