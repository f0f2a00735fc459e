"""The SMTP machine: each walk through the protocol, and properties over all of them."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaignd.model import Job, Outcome
from campaignd.smtp.classify import Effect, Phase, Trouble, refusal
from campaignd.smtp.command import Capabilities, Unsendable
from campaignd.smtp.machine import Machine, Misuse
from campaignd.smtp.protocol import CALLS, NEED_DATA, READY, STEPS, Closed, Ended, Event, State
from tests.fakes.jobs import make_job
from tests.unit.smtp.dialogue import Answers, Caller, Server

PIPELINING = Capabilities(pipelining=True)
GROUP_OK = b"250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n354 go\r\n"
TAKEN = b"250 2.0.0 queued\r\n"

ACCEPTED, DEFERRED = Outcome.ACCEPTED, Outcome.DEFERRED
REJECTED, UNKNOWN = Outcome.REJECTED, Outcome.UNKNOWN


def machine(pipelining: bool = True) -> Machine:
    return Machine(PIPELINING, relay="r", pipelining=pipelining)


def events(of: Machine, first: Event) -> list[Event]:
    """The first event and all that follow it, without NEED_DATA."""
    found: list[Event] = []
    while first is not NEED_DATA:
        found.append(first)
        first = of.next_event()
    return found


def fed(of: Machine, data: bytes) -> list[Event]:
    return events(of, of.receive(data))


def ended(event: Event) -> tuple[int, Outcome, bool]:
    assert isinstance(event, Ended)
    assert event.verdict.outcome is event.decision.outcome
    return event.job.seq, event.verdict.outcome, event.decision.attempted


def closed(event: Event) -> Effect:
    assert isinstance(event, Closed)
    return event.effect


def at_body(of: Machine, job: Job | None = None) -> Machine:
    of.open(job or make_job())
    assert fed(of, GROUP_OK) == [READY]
    return of


def test_pipelined() -> None:
    m = machine()
    assert m.open(make_job(1)).count(b"\r\n") == 3
    assert m.waiting is Phase.MAIL
    assert fed(m, GROUP_OK) == [READY]
    assert m.waiting is Phase.BODY
    assert m.body() == make_job(1).message
    assert m.waiting is Phase.FINAL_DOT
    (event,) = fed(m, TAKEN)
    assert ended(event) == (1, ACCEPTED, True)
    assert isinstance(event, Ended)
    assert event.verdict == (ACCEPTED, 250, "2.0.0", "2.0.0 queued", "r")
    assert (m.state, m.in_flight, m.waiting) == (State.IDLE, 0, Phase.IDLE)


def test_lockstep() -> None:
    m = machine(pipelining=False)
    assert m.open(make_job(1)) == b"MAIL FROM:<news@acme.example>\r\n"
    assert fed(m, b"250 ok\r\n") == [b"RCPT TO:<user1@example.com>\r\n"]
    assert fed(m, b"251 ok\r\n") == [b"DATA\r\n"]
    assert fed(m, b"354 go\r\n") == [READY]
    m.body()
    assert [ended(event) for event in fed(m, TAKEN)] == [(1, ACCEPTED, True)]


def test_lockstep_where_it_is_not_offered() -> None:
    assert not Machine(Capabilities(), relay="r").pipelining


def test_overlapped() -> None:
    m = at_body(machine())
    m.body()
    m.open(make_job(2))
    assert m.in_flight == 2
    first, second = fed(m, TAKEN + GROUP_OK)
    assert ended(first) == (1, ACCEPTED, True)
    assert second is READY
    m.body()
    m.open(make_job(3))
    assert [ended(event) for event in fed(m, TAKEN)] == [(2, ACCEPTED, True)]
    assert fed(m, GROUP_OK) == [READY]


def test_overlap_goes_on_after_a_refused_message() -> None:
    m = at_body(machine())
    m.body()
    m.open(make_job(2))
    first, second = fed(m, b"554 5.7.1 spam\r\n" + GROUP_OK)
    assert ended(first) == (1, REJECTED, True)
    assert second is READY


def test_a_message_in_two_pieces() -> None:
    job = make_job(message=b"Subject: x\r\n", tail=b"\r\nhello\r\n.\r\n")
    assert at_body(machine(), job).body() == job.message + job.tail
    blocks = at_body(machine(), job).begin_body()
    assert [bytes(block) for block in blocks] == [job.message, b"\r\nhello\r\n"]


def test_in_blocks() -> None:
    m = at_body(machine())
    assert b"".join(m.begin_body()) == make_job().message[:-3]
    assert m.waiting is Phase.BODY
    assert m.final_dot() == b".\r\n"
    assert [ended(event) for event in fed(m, TAKEN)] == [(1, ACCEPTED, True)]


def test_a_refused_recipient_owes_a_reset() -> None:
    m = machine()
    m.open(make_job(1))
    (event,) = fed(m, b"250 ok\r\n550 5.1.1 who\r\n554 no recipients\r\n")
    assert ended(event) == (1, REJECTED, True)
    assert m.open(make_job(2)).startswith(b"RSET\r\nMAIL ")
    assert fed(m, b"250 reset\r\n" + GROUP_OK) == [READY]


def test_a_refused_recipient_in_lockstep() -> None:
    m = machine(pipelining=False)
    m.open(make_job(1))
    m.receive(b"250 ok\r\n")
    assert [ended(event) for event in fed(m, b"450 4.2.0 later\r\n")] == [(1, DEFERRED, True)]
    assert m.open(make_job(2)) == b"RSET\r\n"
    assert fed(m, b"250 ok\r\n") == [b"MAIL FROM:<news@acme.example>\r\n"]


def test_354_without_a_recipient_gets_a_lone_dot() -> None:
    m = machine()
    m.open(make_job(1))
    first, dot = fed(m, b"250 ok\r\n550 5.1.1 who\r\n354 go\r\n")
    assert ended(first) == (1, REJECTED, True)
    assert dot == b".\r\n"
    with pytest.raises(Misuse):
        m.open(make_job(2))
    assert fed(m, b"554 5.5.1 no valid recipients\r\n") == []
    assert m.state is State.IDLE
    assert m.open(make_job(2)).startswith(b"MAIL ")  # the dot has ended the transaction


def test_a_refused_sender_stays_the_reason() -> None:
    m = machine()
    m.open(make_job(1))
    (event,) = fed(m, b"550 5.1.8 you\r\n503 mail first\r\n503 mail first\r\n")
    assert isinstance(event, Ended)
    assert (event.verdict.code, event.verdict.enhanced) == (550, "5.1.8")
    assert m.open(make_job(2)).startswith(b"MAIL ")


def test_data_refused() -> None:
    m = machine()
    m.open(make_job(1))
    assert [ended(e) for e in fed(m, b"250 a\r\n250 b\r\n451 4.7.0 c\r\n")] == [(1, DEFERRED, True)]
    assert m.open(make_job(2)).startswith(b"RSET\r\n")


def test_a_refused_reset_leaves_the_server() -> None:
    m = machine()
    m.open(make_job(1))
    m.receive(b"250 ok\r\n550 no\r\n503 no\r\n")
    m.open(make_job(2))
    job, end = fed(m, b"500 what\r\n")
    assert ended(job) == (2, DEFERRED, False)
    assert closed(end) is Effect.NONE


@pytest.mark.parametrize("before", [b"", b"250 ok\r\n", b"250 ok\r\n250 ok\r\n"])
def test_421_before_the_final_dot_costs_no_message(before: bytes) -> None:
    m = machine()
    m.open(make_job(1))
    job, end = fed(m, before + b"421 4.3.2 down\r\n")
    assert ended(job) == (1, DEFERRED, False)
    assert isinstance(job, Ended)
    assert job.verdict.text == "4.3.2 down"
    assert closed(end) is Effect.PENALISE


@pytest.mark.parametrize("data", [b"421 down\r\n", b"421-a\r\n421 b\r\n"])
def test_421_unasked_while_we_owe_the_body(data: bytes) -> None:
    for cut in range(len(data)):
        m = at_body(machine())
        m.begin_body()
        assert fed(m, data[:cut]) == []
        job, end = fed(m, data[cut:])
        assert ended(job) == (1, DEFERRED, False)
        assert closed(end) is Effect.PENALISE


def test_421_to_the_final_dot_is_definite() -> None:
    m = at_body(machine())
    m.body()
    m.open(make_job(2))
    first, second, end = fed(m, b"421 4.3.2 down\r\n")
    assert ended(first) == (1, DEFERRED, True)
    assert ended(second) == (2, DEFERRED, False)
    assert closed(end) is Effect.PENALISE


def test_421_at_rest() -> None:
    m = machine()
    assert closed(fed(m, b"421 4.4.2 idle\r\n")[0]) is Effect.NONE


def test_a_refusal_stands_though_the_session_ends() -> None:
    for end in (b"421 bye\r\n", b"garbage\r\n"):
        m = machine()
        m.open(make_job(1))
        job, _ = fed(m, b"250 ok\r\n550 5.1.1 who\r\n" + end)
        assert ended(job) == (1, REJECTED, True)
    m = machine()
    m.open(make_job(1))
    m.receive(b"250 ok\r\n550 5.1.1 who\r\n")
    assert ended(m.lost(Trouble.LOST)) == (1, REJECTED, True)


@pytest.mark.parametrize(
    "data",
    [
        b"250 ok\r\n250 ok\r\n354 go\r\n250 surplus\r\n",
        b"250 ok\r\n250 ok\r\n354 go\r\n2",
        b"250 ok\r\n250 ok\r\n250 not 354\r\n",
        b"354 not 250\r\n",
        b"250 ok\r\n334 what\r\n",
        b"what\r\n",
        b"250-a\r\n251 b\r\n",
    ],
)
def test_desync_before_the_final_dot(data: bytes) -> None:
    m = machine()
    m.open(make_job(1))
    job, end = fed(m, data)
    assert ended(job) == (1, DEFERRED, True)
    assert closed(end) is Effect.PENALISE


@pytest.mark.parametrize("data", [b"354 go\r\n", b"334 x\r\n", b"hm\r\n", b"999 x\r\n"])
def test_desync_after_the_final_dot(data: bytes) -> None:
    m = at_body(machine())
    m.body()
    job, end = fed(m, data)
    assert ended(job) == (1, UNKNOWN, True)
    assert closed(end) is Effect.PENALISE


def test_a_surplus_reply_is_not_taken_for_the_next() -> None:
    m = at_body(machine())
    m.body()
    job, end = fed(m, TAKEN + TAKEN)
    assert ended(job) == (1, ACCEPTED, True)
    assert closed(end) is Effect.NONE
    with pytest.raises(Misuse):
        m.open(make_job(2))


def test_a_reply_ahead_of_its_command_in_lockstep() -> None:
    m = machine(pipelining=False)
    m.open(make_job(1))
    job, end = fed(m, b"250 ok\r\n250 ahead\r\n")
    assert ended(job) == (1, DEFERRED, True)
    assert closed(end) is Effect.PENALISE


def test_errors_stick() -> None:
    m = machine()
    m.open(make_job(1))
    fed(m, b"garbage\r\n")
    assert fed(m, GROUP_OK + TAKEN) == []
    assert m.lost(Trouble.LOST) is NEED_DATA
    assert (m.closed, m.in_flight) == (True, 0)


@pytest.mark.parametrize(
    ("trouble", "written", "answered", "outcome", "attempted"),
    [
        (Trouble.LOST, "group", b"", DEFERRED, False),
        (Trouble.LOST, "group", b"250 ok\r\n", DEFERRED, True),
        (Trouble.LOST, "ready", b"", DEFERRED, True),
        (Trouble.LOST, "body", b"", DEFERRED, True),
        (Trouble.LOST, "dot", b"", UNKNOWN, True),
        (Trouble.LOST, "dot", b"25", UNKNOWN, True),
        (Trouble.TIMEOUT, "group", b"", DEFERRED, False),
        (Trouble.TIMEOUT, "group", b"250 ok\r\n", DEFERRED, True),
        (Trouble.TIMEOUT, "dot", b"", UNKNOWN, True),
        (Trouble.RIGHT_ENDED, "ready", b"", DEFERRED, False),
        (Trouble.RIGHT_ENDED, "body", b"", DEFERRED, False),
        (Trouble.ABORTED, "body", b"", DEFERRED, False),
        (Trouble.ABORTED, "dot", b"", UNKNOWN, True),
    ],
)
def test_sessions_that_end(
    trouble: Trouble, written: str, answered: bytes, outcome: Outcome, attempted: bool
) -> None:
    m = machine()
    if written == "group":
        m.open(make_job(1))
    else:
        at_body(m)
    if written == "body":
        m.begin_body()
    if written == "dot":
        m.body()
    assert fed(m, answered) == []
    job, end = events(m, m.lost(trouble, "why"))
    assert ended(job) == (1, outcome, attempted)
    assert isinstance(job, Ended)
    assert "why" in job.verdict.text
    assert isinstance(end, Closed)


def test_losing_an_overlapped_session() -> None:
    m = at_body(machine())
    m.body()
    m.open(make_job(2))
    first, second, _ = events(m, m.lost(Trouble.LOST))
    assert ended(first) == (1, UNKNOWN, True)
    assert ended(second) == (2, DEFERRED, False)


def test_a_reused_connection_that_was_closed_is_no_fault() -> None:
    m = at_body(machine())
    m.body()
    fed(m, TAKEN)
    m.open(make_job(2))
    job, end = events(m, m.lost(Trouble.LOST))
    assert ended(job) == (2, DEFERRED, False)
    assert closed(end) is Effect.NONE


def used() -> Machine:
    """A machine that knows how the server usually answers a group."""
    m = at_body(machine())
    m.body()
    assert len(fed(m, TAKEN)) == 1
    return m


def test_the_usual_answer_counts_only_where_it_is_due() -> None:
    assert closed(fed(used(), GROUP_OK)[0]) is Effect.NONE
    m = at_body(used(), make_job(2))
    job, _ = fed(m, GROUP_OK)
    assert ended(job) == (2, DEFERRED, True)
    m = used()
    m.open(make_job(2))
    assert fed(m, b"250 ok\r\n") == []
    job, _ = fed(m, GROUP_OK)
    assert ended(job) == (2, DEFERRED, True)
    m = used()
    m.open(make_job(2))
    assert fed(m, b"250-") == []
    job, _ = fed(m, GROUP_OK)
    assert ended(job) == (2, DEFERRED, True)
    m = at_body(used(), make_job(2))
    m.body()
    m.open(make_job(3))
    assert fed(m, b"250-2.0.0 a\r\n") == []
    first, second = fed(m, TAKEN + GROUP_OK)
    assert ended(first) == (2, ACCEPTED, True)
    assert isinstance(first, Ended)
    assert first.verdict.text == "2.0.0 a 2.0.0 queued"
    assert second is READY


def test_quit() -> None:
    m = machine()
    assert m.quit() == b"QUIT\r\n"
    (event,) = fed(m, b"221 bye\r\n")
    assert closed(event) is Effect.NONE


def test_an_unsendable_job_leaves_the_machine_as_it_was() -> None:
    m = machine()
    with pytest.raises(Unsendable):
        m.open(make_job(1, recipient=b"a\r\nDATA"))
    assert (m.state, m.in_flight) == (State.IDLE, 0)
    m.open(make_job(2))


def in_state(state: State) -> Machine:
    m = machine()
    if state is State.IDLE:
        return m
    if state is State.QUIT:
        m.quit()
        return m
    m.open(make_job(1))
    if state is State.ENVELOPE:
        return m
    if state is State.SETTLING:
        fed(m, b"250 ok\r\n550 no\r\n354 go\r\n")
        return m
    fed(m, GROUP_OK)
    if state is State.BODY:
        m.begin_body()
    elif state is State.DOT:
        m.body()
    elif state is State.CLOSED:
        m.lost(Trouble.LOST)
    return m


@pytest.mark.parametrize("state", list(State))
def test_calls_out_of_turn_are_misuse(state: State) -> None:
    allowed = {call for call, states in CALLS.items() if state in states}
    assert in_state(state).state is state
    for call in ("begin_body", "body", "final_dot", "quit"):
        m = in_state(state)
        if call in allowed:
            getattr(m, call)()
        else:
            with pytest.raises(Misuse):
                getattr(m, call)()
    m = in_state(state)
    if "open, overlapping" in allowed:
        m.open(make_job(2))
    else:
        with pytest.raises(Misuse):
            m.open(make_job(2))


def test_every_command_has_its_steps() -> None:
    for phase in (Phase.MAIL, Phase.RCPT, Phase.DATA, Phase.FINAL_DOT, Phase.RSET, Phase.QUIT):
        assert {(phase, 4), (phase, 5)} <= set(STEPS)
        assert ((phase, 2) in STEPS) != ((phase, 3) in STEPS)


refusals = st.sampled_from([450, 451, 452, 550, 552, 553, 554, 571])
plans = st.lists(
    st.builds(
        Answers,
        mail=st.one_of(st.just(250), st.just(250), refusals),
        rcpt=st.one_of(st.sampled_from([250, 251]), refusals),
        data=st.one_of(st.just(354), st.just(354), refusals),
        dot=st.one_of(st.just(250), st.just(250), refusals),
        lines=st.integers(1, 2),
    ),
    min_size=1,
    max_size=6,
)


def expected(answers: Answers) -> Outcome:
    """What the server's plan means for the recipient."""
    for phase, code in zip(
        (Phase.MAIL, Phase.RCPT, Phase.DATA, Phase.FINAL_DOT), answers[:4], strict=True
    ):
        if code >= 400:
            return refusal(phase, code, "").outcome
    return ACCEPTED


def exchange(plan: list[Answers], modes: tuple[bool, bool, bool], sizes: list[int]) -> Caller:
    """Runs one job for each entry of the plan; what the server says arrives in pieces of
    `sizes` (0 for one line), over and over, or whole if there are none."""
    pipelining, overlap, blocks = modes
    jobs = [make_job(seq) for seq in range(len(plan))]
    server = Server(plan)
    caller = Caller(machine(pipelining), jobs, overlap=overlap, blocks=blocks)
    size = itertools.cycle(sizes or [1 << 20])
    said = server.take(caller.start())
    while said:
        count = next(size) or said.index(b"\n") + 1
        piece, said = said[:count], said[count:]
        said += server.take(caller.receive(piece))
    contents = [make_job(seq).message[:-3] for seq, answers in enumerate(plan)]
    taken = [c for c, answers in zip(contents, plan, strict=True) if expected(answers) is ACCEPTED]
    assert server.accepted == taken
    return caller


modes = st.tuples(st.booleans(), st.booleans(), st.booleans())


@given(plans, modes, st.lists(st.integers(0, 60), max_size=5))
def test_every_transaction_ends_as_the_server_meant(
    plan: list[Answers], modes: tuple[bool, bool, bool], sizes: list[int]
) -> None:
    caller = exchange(plan, modes, sizes)
    want = [(seq, expected(answers), True) for seq, answers in enumerate(plan)]
    assert caller.outcomes() == want
    assert caller.closed is None
    assert caller.machine.state is State.IDLE
    for other in ([], [1], [0]):
        assert caller.ended == exchange(plan, modes, other).ended


@given(plans, modes, st.integers(0, 400), st.sampled_from(list(Trouble)))
def test_cut_anywhere_nothing_is_lost_or_falsely_accepted(
    plan: list[Answers], modes: tuple[bool, bool, bool], cut: int, trouble: Trouble
) -> None:
    pipelining, overlap, blocks = modes
    server = Server(plan)
    caller = Caller(
        machine(pipelining),
        [make_job(seq) for seq in range(len(plan))],
        overlap=overlap,
        blocks=blocks,
    )
    said = server.take(caller.start())
    while said and cut:
        said = said[1:] + server.take(caller.receive(said[:1]))
        cut -= 1
    caller.lose(trouble)
    assert caller.machine.in_flight == 0
    seqs = [seq for seq, _, _ in caller.outcomes()]
    assert seqs == list(range(len(seqs)))  # each that was opened, once, in order
    may_have = sum(outcome in (ACCEPTED, UNKNOWN) for _, outcome, _ in caller.outcomes())
    surely = sum(outcome is ACCEPTED for _, outcome, _ in caller.outcomes())
    assert surely <= len(server.accepted) <= may_have


pieces = st.lists(
    st.one_of(
        st.binary(max_size=8),
        st.sampled_from([b"250 ok\r\n", b"354 go\r\n", b"250-a\r\n", b"4", b"21 x\r\n", GROUP_OK]),
        st.sampled_from([b"421 x\r\n", b"550 x\r\n", b"503 x\r\n", TAKEN]),
    ),
    max_size=12,
)


@given(pieces, modes)
def test_whatever_arrives(said: list[bytes], modes: tuple[bool, bool, bool]) -> None:
    pipelining, overlap, blocks = modes
    jobs = [make_job(seq) for seq in range(20)]
    caller = Caller(machine(pipelining), jobs, overlap=overlap, blocks=blocks)
    caller.start()
    for piece in said:
        caller.receive(piece)
        assert caller.machine.in_flight <= 2
    accepted = sum(outcome is ACCEPTED for _, outcome, _ in caller.outcomes())
    positive = sum(line.startswith(b"2") for line in b"".join(said).split(b"\n"))
    assert 3 * accepted <= positive  # MAIL, RCPT and the final dot need one each
    was_closed = caller.closed is not None
    assert was_closed == caller.machine.closed
    caller.lose(Trouble.LOST)
    seqs = [seq for seq, _, _ in caller.outcomes()]
    assert seqs == list(range(len(seqs)))
    for _, verdict, decision in caller.ended:
        if verdict.outcome is ACCEPTED:
            assert verdict.code // 100 == 2
        assert decision.attempted or verdict.outcome is DEFERRED


DENIED = b"554 5.7.1 <user1@example.com>: Relay access denied\r\n"


@pytest.mark.parametrize("pipelining", [True, False])
def test_a_relay_that_does_not_carry_our_mail_gets_no_more_and_rejects_nobody(
    pipelining: bool,
) -> None:
    m = machine(pipelining)
    m.open(make_job(1))
    (ending, closing) = fed(m, b"250 ok\r\n" + DENIED)[-2:] if pipelining else _denied_lockstep(m)
    assert ended(ending) == (1, DEFERRED, False)
    assert closed(closing) is Effect.PENALISE
    assert isinstance(closing, Closed)
    assert closing.reason == "554 5.7.1 <...> Relay access denied", "it is logged: no address"


def _denied_lockstep(of: Machine) -> list[Event]:
    fed(of, b"250 ok\r\n")
    return fed(of, DENIED)


def test_a_relay_that_has_carried_our_mail_goes_on_with_it() -> None:
    m = at_body(machine())
    m.body()
    fed(m, TAKEN)
    m.open(make_job(2))
    *_, go = fed(m, b"250 ok\r\n" + DENIED + b"554 5.5.1 no valid recipients\r\n")
    assert ended(go) == (2, DEFERRED, True)
    assert m.open(make_job(3)).startswith(b"RSET\r\n")
