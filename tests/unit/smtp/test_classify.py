"""The policy tables: each rule by an example of real life, and that no case is missing."""

from __future__ import annotations

import itertools

import pytest

from campaignd.model import Outcome
from campaignd.smtp import classify
from campaignd.smtp.classify import TROUBLES, After, Effect, Phase, Stage, Trouble, refusal

DEFERRED, REJECTED, UNKNOWN = Outcome.DEFERRED, Outcome.REJECTED, Outcome.UNKNOWN
KEEP, RESET, CLOSE = After.KEEP, After.RESET, After.CLOSE
NONE, PENALISE = Effect.NONE, Effect.PENALISE


@pytest.mark.parametrize(
    ("phase", "code", "enhanced", "outcome", "after", "effect", "attempted"),
    [
        (Phase.RCPT, 550, "5.1.1", REJECTED, RESET, NONE, True),  # user unknown
        (Phase.RCPT, 571, "", REJECTED, RESET, NONE, True),
        (Phase.RCPT, 450, "4.2.0", DEFERRED, RESET, NONE, True),  # greylisted
        (Phase.RCPT, 452, "4.5.3", DEFERRED, RESET, NONE, True),
        (Phase.RCPT, 552, "5.2.2", DEFERRED, RESET, NONE, True),  # RFC 5321, 4.5.3.1.10
        (Phase.RCPT, 504, "5.5.2", REJECTED, RESET, NONE, True),  # Postfix: need a full address
        (Phase.MAIL, 553, "5.1.8", REJECTED, KEEP, NONE, True),
        (Phase.MAIL, 451, "4.7.1", DEFERRED, KEEP, NONE, True),
        (Phase.DATA, 451, "", DEFERRED, RESET, NONE, True),
        (Phase.DATA, 554, "5.5.1", REJECTED, RESET, NONE, True),
        (Phase.FINAL_DOT, 552, "5.3.4", REJECTED, KEEP, NONE, True),
        (Phase.FINAL_DOT, 451, "4.7.0", DEFERRED, KEEP, NONE, True),
        (Phase.FINAL_DOT, 421, "4.3.2", DEFERRED, CLOSE, PENALISE, True),
        (Phase.MAIL, 421, "", DEFERRED, CLOSE, PENALISE, False),
        (Phase.RCPT, 421, "4.7.0", DEFERRED, CLOSE, PENALISE, False),
        (Phase.DATA, 421, "", DEFERRED, CLOSE, PENALISE, False),
        (Phase.BODY, 421, "", DEFERRED, CLOSE, PENALISE, False),
        (Phase.MAIL, 530, "5.7.0", DEFERRED, CLOSE, PENALISE, False),  # AUTH first
        (Phase.MAIL, 452, "4.3.1", DEFERRED, CLOSE, PENALISE, True),  # disk full
        (Phase.RCPT, 451, "4.3.2", DEFERRED, RESET, NONE, True),
        (Phase.FINAL_DOT, 452, "4.3.1", DEFERRED, KEEP, NONE, True),
        (Phase.MAIL, 451, "4.4.5", DEFERRED, CLOSE, PENALISE, True),
        (Phase.MAIL, 503, "5.5.1", DEFERRED, CLOSE, PENALISE, True),
        (Phase.MAIL, 502, "", DEFERRED, CLOSE, PENALISE, True),
        (Phase.RCPT, 500, "5.3.0", REJECTED, RESET, NONE, True),
        (Phase.MOOT, 503, "5.5.1", REJECTED, RESET, NONE, True),
        (Phase.MOOT, 421, "", DEFERRED, CLOSE, PENALISE, False),
    ],
)
def test_refusals(
    phase: Phase,
    code: int,
    enhanced: str,
    outcome: Outcome,
    after: After,
    effect: Effect,
    attempted: bool,
) -> None:
    assert refusal(phase, code, enhanced) == (outcome, after, effect, attempted)


@pytest.mark.parametrize("phase", list(Phase))
@pytest.mark.parametrize("enhanced", ["", "4.3.2", "4.4.5", "5.5.1", "5.7.1"])
def test_every_refusal_is_decided(phase: Phase, enhanced: str) -> None:
    for code in range(400, 600):
        decision = refusal(phase, code, enhanced)
        # no refusal is success; a definite answer to the final dot is never returned or unknown
        assert decision.outcome in (DEFERRED, REJECTED)
        assert decision.attempted or phase is not Phase.FINAL_DOT
        assert decision.attempted or decision.after is CLOSE
        assert decision.effect is NONE or decision.after is CLOSE
        if decision.outcome is REJECTED:
            assert code >= 500


DENIED = "5.7.1 <a@b.example>: Relay access denied"


@pytest.mark.parametrize(
    ("phase", "code", "enhanced", "text", "proven", "expected"),
    [
        # a relay that never carried anything of ours is left alone, and nobody is rejected
        (Phase.RCPT, 554, "5.7.1", DENIED, False, (DEFERRED, CLOSE, PENALISE, False)),
        (Phase.MAIL, 550, "5.4.5", "5.4.5 Daily user sending limit exceeded.", False,
         (DEFERRED, CLOSE, PENALISE, False)),
        (Phase.RCPT, 550, "", "relay not permitted", False, (DEFERRED, CLOSE, PENALISE, False)),
        (Phase.FINAL_DOT, 554, "5.7.1", DENIED, False, (DEFERRED, CLOSE, PENALISE, True)),
        # one that works has something against this recipient, and goes on with the others
        (Phase.RCPT, 554, "5.7.1", DENIED, True, (DEFERRED, RESET, NONE, True)),
        (Phase.MAIL, 550, "5.7.64", "", True, (DEFERRED, KEEP, NONE, True)),
        (Phase.FINAL_DOT, 554, "5.7.1", DENIED, True, (DEFERRED, KEEP, NONE, True)),
        # the same codes with other words are final
        (Phase.RCPT, 554, "5.7.1", "5.7.1 <a@b.example>: Access denied", False,
         (REJECTED, RESET, NONE, True)),
        (Phase.RCPT, 550, "5.7.1", "5.7.1 RESOLVER.RST.AuthRequired; authentication required",
         False, (REJECTED, RESET, NONE, True)),
        # an address cannot talk a relay down
        (Phase.RCPT, 550, "5.1.1", "5.1.1 <relay_access_denied@b.example>: no", False,
         (REJECTED, RESET, NONE, True)),
        # what follows a refusal decides nothing
        (Phase.MOOT, 554, "5.7.1", DENIED, False, (REJECTED, RESET, NONE, True)),
    ],
)  # fmt: skip
def test_a_relay_that_does_not_carry_our_mail_rejects_nobody(
    phase: Phase, code: int, enhanced: str, text: str, proven: bool, expected: tuple[object, ...]
) -> None:
    assert refusal(phase, code, enhanced, text, proven=proven) == expected


@pytest.mark.parametrize("code", [250, 354, 199, 600, 0])
def test_what_is_no_refusal(code: int) -> None:
    with pytest.raises(ValueError, match="no refusal"):
        refusal(Phase.MAIL, code, "")


def test_every_rule_decides_something() -> None:
    used = {
        id(refusal(phase, code, enhanced, proven=proven))
        for phase in Phase
        for code in range(400, 600)
        for enhanced in ("", "4.3.0", "4.4.5", "5.7.64")
        for proven in (False, True)
    }
    assert {id(rule.decision) for rule in classify.RULES} <= used


def test_every_trouble_is_decided() -> None:
    assert set(TROUBLES) == set(itertools.product(Trouble, Stage))
    assert set(classify.STATUS) == set(Trouble)
    assert set(classify.NAMES) == set(Phase)


def test_troubles_by_phase() -> None:
    for (trouble, stage), decision in TROUBLES.items():
        assert decision.after is CLOSE
        if stage is Stage.AFTER_DOT:  # a duplicate is possible, and must be known
            assert decision.outcome is UNKNOWN
            assert decision.attempted
        else:  # without its final dot nothing can have been accepted
            assert decision.outcome is DEFERRED
        if trouble is Trouble.DESYNC:  # R8
            assert decision.attempted
    for stage in (Stage.FIRST, Stage.REUSED):
        assert not TROUBLES[Trouble.LOST, stage].attempted
        assert not TROUBLES[Trouble.TIMEOUT, stage].attempted
    assert TROUBLES[Trouble.LOST, Stage.REUSED].effect is NONE
    assert TROUBLES[Trouble.LOST, Stage.FIRST].effect is PENALISE
    assert TROUBLES[Trouble.LOST, Stage.OPEN].attempted
