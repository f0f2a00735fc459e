"""Relays that refuse, stall, close, babble or lie, with a daemon and a ledger behind them.

One daemon has a relay for each fault, which shows it once and then behaves. What the ledger says
of the attempts at each of them must be exactly what the table says. The engine alone meets the
same faults in tests/integration/net.
"""

from __future__ import annotations

import os
import signal
import ssl
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from campaignd.config import Relay
from campaignd.model import Outcome
from campaignd.sandbox.box import Sandbox
from campaignd.sandbox.supervisor import minimal_environment, unused_port
from tests.fakes.certificates import Authority
from tests.fakes.relay import DEFAULTS, Answer, Close, Reset, Say, Stall
from tests.faults.proxy import Proxy
from tests.faults.relays import TIMEOUTS, Cut, Relays, Script
from tests.faults.stage import Stage
from tests.faults.wire import Direction

RETURNED = None
"""The attempt does not count: the job was handed back, and another relay took it."""
DEFERRED, REJECTED, UNKNOWN = Outcome.DEFERRED, Outcome.REJECTED, Outcome.UNKNOWN
ACCEPTED = Outcome.ACCEPTED

GARBAGE = Say(b"\x00\xff\xfe what is this\r\n", raw=True)

PHASES: dict[str, dict[Answer | Cut, Outcome | None]] = {
    "GREETING": {
        Cut(): RETURNED,
        Reset(): RETURNED,
        Stall(): RETURNED,
        Close(b"421 4.3.2 closing"): RETURNED,
        Say(b"451 4.3.0 not now"): RETURNED,
        Say(b"554 5.7.1 no"): RETURNED,
        GARBAGE: RETURNED,
    },
    "EHLO": {
        Cut(): RETURNED,
        Reset(): RETURNED,
        Stall(): RETURNED,
        Close(b"421 4.3.2 closing"): RETURNED,
        Say(b"451 4.3.0 not now"): RETURNED,
        Say(b"550 5.7.1 no"): RETURNED,
        GARBAGE: RETURNED,
    },
    "MAIL": {
        Cut(): RETURNED,
        Reset(): RETURNED,
        Stall(): RETURNED,
        Close(b"421 4.3.2 closing"): RETURNED,
        Say(b"450 4.1.8 later"): DEFERRED,
        Say(b"550 5.1.8 never"): REJECTED,
        GARBAGE: DEFERRED,
        Say(b"250 2.1.0 ok\r\n250 2.1.0 surplus"): DEFERRED,
        Say(b"250 2.1.0 ok", split=1): ACCEPTED,
    },
    "RCPT": {
        Cut(): DEFERRED,
        Reset(): DEFERRED,
        Stall(): DEFERRED,
        Close(b"421 4.3.2 closing"): RETURNED,
        Say(b"450 4.2.1 later"): DEFERRED,
        Say(b"550 5.1.1 never"): REJECTED,
        GARBAGE: DEFERRED,
        Say(b"250-2.1.5 on\r\n250 2.1.5 many lines", split=1): ACCEPTED,
    },
    "DATA": {
        Cut(): DEFERRED,
        Reset(): DEFERRED,
        Stall(): DEFERRED,
        Close(b"421 4.3.2 closing"): RETURNED,
        Say(b"451 4.3.0 later"): DEFERRED,
        Say(b"554 5.5.1 never"): REJECTED,
        GARBAGE: DEFERRED,
        Say(b"354 go", split=1): ACCEPTED,
    },
    "BODY": {Cut(): UNKNOWN, Reset(): UNKNOWN, Stall(): UNKNOWN},
    "DOT": {
        Cut(): UNKNOWN,
        Reset(): UNKNOWN,
        Stall(): UNKNOWN,
        Close(b"421 4.3.2 closing"): DEFERRED,
        Say(b"451 4.3.0 later"): DEFERRED,
        Say(b"554 5.6.0 never"): REJECTED,
        GARBAGE: UNKNOWN,
        Say(b"250 2.0.0 ok\r\n250 2.0.0 surplus"): ACCEPTED,
        Say(b"250 2.0.0 ok", split=1): ACCEPTED,
        Close(b"250 2.0.0 ok"): ACCEPTED,
    },
}

CUT_REPLIES: dict[str, tuple[bytes, Outcome | None, Outcome | None]] = {
    "GREETING": (b"220 fake ESMTP\r\n", RETURNED, RETURNED),
    "MAIL": (b"250 2.1.0 Ok\r\n", RETURNED, DEFERRED),
    "RCPT": (b"250 2.1.5 Ok\r\n", DEFERRED, DEFERRED),
    "DATA": (b"354 go\r\n", DEFERRED, UNKNOWN),
    "DOT": (b"250 2.0.0 queued\r\n", UNKNOWN, ACCEPTED),
}
"""A reply; what it means to lose the connection within it, and right after it."""


class Case(NamedTuple):
    script: Script
    expected: Outcome | None


def cases() -> Iterator[Case]:
    for phase, faults in PHASES.items():
        for number, (fault, expected) in enumerate(faults.items()):
            name = f"{phase}-{number}-{type(fault).__name__}"
            yield Case(Script(name, phase, fault, usual(phase)), expected)


def usual(phase: str) -> Answer:
    return DEFAULTS.get(phase, Say(b""))


def after_every_octet() -> Iterator[Case]:
    for phase, (reply, within, after) in CUT_REPLIES.items():
        for octets in range(len(reply) + 1):
            expected = after if octets == len(reply) else within
            script = Script(f"{phase}-{octets}", phase, Cut(reply[:octets]), usual(phase))
            yield Case(script, expected)


def meets(box: Sandbox, table: list[Case]) -> None:
    """Sends through all relays of the table at once, and compares."""
    refused = [
        case.script.name
        for case in table
        if case.script.key == "DOT" and case.expected in (DEFERRED, REJECTED)
    ]
    with (
        Relays(case.script for case in table) as relays,
        Stage(box, relays=relays.configured(), rate=500, proxied=False) as stage,
    ):
        campaign = stage.campaign(1_500)
        stage.start()
        stage.wait_finished(campaign)
        found = attempts_by_relay(stage, campaign)
        wrong = {
            case.script.name: (case.expected, dict(found.get(case.script.name, Counter())))
            for case in table
            if found.get(case.script.name, Counter()) != expected(case)
        }
        assert not wrong, f"{wrong}\n{stage.describe()}"
        verdict = stage.ledger.judge(campaign, relays.taken(refused))
        assert not verdict.problems(), stage.describe()
        assert verdict.outcomes["rejected"] == sum(case.expected is REJECTED for case in table)


def expected(case: Case) -> Counter[Outcome]:
    if case.expected in (RETURNED, ACCEPTED):
        return Counter()
    return Counter({case.expected: 1})


def attempts_by_relay(stage: Stage, campaign: int) -> dict[str, Counter[Outcome]]:
    """What the ledger says of attempts at each relay, but for those accepted."""
    found: dict[str, Counter[Outcome]] = {}
    for relay, outcome, count in stage.query(
        "SELECT relay, outcome, COUNT(*) FROM ledger WHERE campaign_id = %s GROUP BY 1, 2", campaign
    ):
        counter = found.setdefault(relay, Counter())
        if outcome != Outcome.ACCEPTED:
            counter[Outcome(outcome)] = count
    return found


def test_every_fault_at_every_phase(box: Sandbox) -> None:
    meets(box, list(cases()))


def test_closed_after_every_octet_of_a_reply(box: Sandbox) -> None:
    meets(box, list(after_every_octet()))


def test_tls(box: Sandbox, tmp_path: Path) -> None:
    """Nothing goes through a relay whose TLS is not right; the others carry on."""
    authority = Authority(tmp_path)
    good, expired = authority.server("127.0.0.1"), authority.server("127.0.0.1", expired=True)
    stranger = Authority(tmp_path, "stranger").server("127.0.0.1")
    start = DEFAULTS["STARTTLS"]
    offer = Say(b"250-fake\r\n250-PIPELINING\r\n250 STARTTLS")

    def relay(name: str, context: ssl.SSLContext | None, fault: Answer | Cut = start) -> Script:
        return Script(name, "STARTTLS", fault, fault, context)

    scripts = [
        relay("good", good),
        relay("expired", expired),
        relay("stranger", stranger),
        relay("no-tls", None),
        relay("cut-at-once", good, Cut(b"220 2.0.0 go\r\n")),
        relay("refused", good, Say(b"454 4.7.0 not available")),
    ]
    with Relays(scripts) as relays, Proxy(0) as wire:
        for one in relays.relays:
            one.say("EHLO", offer)
        wire.retarget(relays.relays[0].port)
        wire.cut_after(9_000, Direction.UP)
        configured = relays.configured(tls="starttls-required", tls_ca_file=str(authority.file))
        configured.append(
            Relay(
                name="cut",
                host="127.0.0.1",
                port=wire.port,
                tls="starttls-required",
                tls_ca_file=str(authority.file),
                connections=2,
                timeouts=TIMEOUTS,
            )
        )
        with Stage(box, relays=configured, rate=400, proxied=False) as stage:
            campaign = stage.campaign(800)
            stage.start()
            stage.wait_finished(campaign)
            verdict = stage.ledger.judge(campaign, relays.taken())
            assert not verdict.problems(), stage.describe()
            found = attempts_by_relay(stage, campaign)
            assert set(found) == {"good", "cut"}, stage.describe()
            assert found["cut"], "the connection was never cut within a message"
            errors = {
                event.fields["relay"]: event.fields["error"]
                for event in stage.host.events("relay-trouble")
            }
            assert "expired" in errors["expired"]
            assert "TLS" in errors["stranger"]


SINKS: dict[str, tuple[list[str], set[Outcome]]] = {
    "hangs-up-on-MAIL": (["-q", "mail"], set()),
    "hangs-up-on-RCPT": (["-q", "rcpt"], {DEFERRED}),
    "hangs-up-on-DATA": (["-q", "data"], {DEFERRED}),
    "hangs-up-on-the-dot": (["-q", "."], {UNKNOWN}),
    "421-on-RCPT": (["-Q", "rcpt"], set()),
    "defers-RCPT": (["-r", "rcpt"], {DEFERRED}),
    "defers-the-dot": (["-r", ".", "-b", "450 4.3.0 its own words"], {DEFERRED}),
    "rejects-the-dot": (["-f", ".", "-B", "550 5.7.1 its own words"], {REJECTED}),
    "aborts-in-DATA": (["-A", "1"], {DEFERRED, REJECTED, UNKNOWN}),
}
"""Options of Postfix's smtp-sink, and what an attempt at it can come to."""


def test_smtp_sink_as_a_bad_relay(box: Sandbox) -> None:
    """A receiver that nobody here wrote. Some recipients are unlucky; all are accounted for."""
    ports = {name: unused_port() for name in SINKS}
    configured = [
        Relay(name=name, host="127.0.0.1", port=port, tls="none", connections=1, timeouts=TIMEOUTS)
        for name, port in ports.items()
    ]
    with Stage(box, relays=configured, rate=300, connections=40) as stage:
        children = [
            box.supervisor.spawn(
                ["/usr/sbin/smtp-sink", *_user(), *options, f"127.0.0.1:{ports[name]}", "64"],
                stage.folder / f"{name}.log",
                minimal_environment(stage.folder),
            )
            for name, (options, _) in SINKS.items()
        ]
        campaign = stage.campaign(900)
        stage.start()
        stage.wait_finished(campaign)
        for child in children:
            child.signal(signal.SIGKILL)
        found = attempts_by_relay(stage, campaign)
        for name, (_, allowed) in SINKS.items():
            outcomes = set(found.get(name, ()))
            assert outcomes <= allowed, (name, outcomes)
            assert outcomes or not allowed, f"{name} was never tried"
        verdict = stage.judge(campaign)
        # Those that the bad sinks took are in nobody's log.
        assert not [p for p in verdict.problems() if not p.startswith("lost")]
        assert verdict.outcomes.total() == 900


def _user() -> list[str]:
    return ["-u", "nobody"] if os.geteuid() == 0 else []
