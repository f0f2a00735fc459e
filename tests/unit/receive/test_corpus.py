"""Every message of the corpus, and what it must come to.

The samples follow what each software documents of its notices, and the RFCs: Postfix (bounce(5),
DSN_README), Exim (specification, 49), Sendmail, qmail (QSBMF), Courier, Exchange and Outlook
(learn.microsoft.com on NDRs), Gmail (support.google.com/a/answer/3726730), Domino, MDaemon;
RFC 3464, 6533, 3834, 8098; RFC 5965 with its example, 6591, 6430; Yahoo's and Validity's feedback
loops, and Microsoft's JMRP.
"""

from __future__ import annotations

from typing import NamedTuple

import pytest

from campaignd.feedback import Event
from tests.unit.receive.messages import (
    ANNA,
    COMPLAINTS,
    CORPUS,
    NOW,
    RETURN,
    UNSUBSCRIBE,
    judged,
    message,
)


class Bounced(NamedTuple):
    enhanced: str
    permanent: bool
    kind: str = "address_bad"
    source: str = "dsn"
    to: str = RETURN


class Complained(NamedTuple):
    detail: str
    source: str = "arf"
    to: str = COMPLAINTS
    event: Event = Event.COMPLAINED


class Unsubscribed(NamedTuple):
    to: str = UNSUBSCRIBE


class Nothing(NamedTuple):
    kind: str
    why_not: str
    to: str = RETURN


Expected = Bounced | Complained | Unsubscribed | Nothing

EXPECTED: dict[str, Expected] = {
    "postfix-user-unknown": Bounced("5.1.1", True),
    "postfix-delayed": Nothing("bounce", "delayed"),
    "postfix-expired": Bounced("4.4.1", False, "unreachable"),
    "postfix-unknown-domain": Bounced("5.4.4", True),
    "postfix-success": Nothing("bounce", "delivered"),
    "exim-old": Bounced("5.1.1", True, source="mail"),
    "exim-old-quota": Bounced("", False, "mailbox_full", source="mail"),
    "exim-warning": Nothing("bounce", "delayed"),
    "exim-report": Bounced("5.1.1", True),
    "sendmail-user-unknown": Bounced("5.1.1", True),
    "sendmail-warning": Nothing("bounce", "delayed"),
    "sendmail-local-quota": Bounced("5.2.2", False, "mailbox_full"),
    "exchange-not-found": Bounced("5.1.10", True),
    "exchange-restricted": Bounced("5.7.133", False, "policy"),
    "exchange-2003": Bounced("5.1.1", True),
    "gmail-unknown": Bounced("5.1.1", True),
    "gmail-over-quota": Bounced("5.2.2", False, "mailbox_full"),
    "gmail-delay": Nothing("bounce", "delayed"),
    "qmail-no-mailbox": Bounced("5.1.1", True, source="mail"),
    "qmail-remote-said": Bounced("5.7.1", False, "content", source="mail"),
    "yahoo-unable-to-deliver": Bounced("", True, source="mail"),
    "courier": Bounced("5.0.0", True),
    "domino": Bounced("5.1.1", True),
    "mdaemon-text-only": Bounced("", True, source="mail"),
    "german-html-only": Bounced("5.2.2", False, "mailbox_full", source="mail"),
    "status-in-base64": Bounced("5.1.1", True),
    "internationalized": Bounced("5.1.1", True),
    "several-recipients": Bounced("5.2.1", False, "unavailable"),
    "status-without-action": Bounced("5.1.1", True),
    "wrapped-by-a-list": Bounced("5.1.1", True),
    "sent-to-from": Bounced("5.1.1", True, to=COMPLAINTS),
    "qmail-sent-to-from": Bounced("5.1.1", True, source="mail", to=COMPLAINTS),
    "sent-to-from-without-message": Nothing("bounce", "no-token", COMPLAINTS),
    "report-without-status": Nothing("bounce", "unrecognised"),
    "vacation-exchange": Nothing("other", "auto-reply"),
    "vacation-unix": Nothing("other", "auto-reply"),
    "vacation-german": Nothing("other", "auto-reply"),
    "autoresponder-cpanel": Nothing("other", "auto-reply"),
    "read-receipt": Nothing("other", "auto-reply"),
    "a-person-answers": Nothing("other", "unrecognised"),
    "arf-yahoo": Complained("abuse, Yahoo!-Mail-Feedback/2.0"),
    "arf-rfc5965-minimal": Complained("abuse, SomeGenerator/1.0"),
    "arf-headers-only-redacted": Complained("abuse, FBL/1.0"),
    "arf-fraud": Complained("fraud, X/1"),
    "arf-unknown-type": Complained("x-annoying, X/1"),
    "arf-opt-out": Complained("opt-out, X/1", event=Event.UNSUBSCRIBED),
    "arf-to-return-path": Complained("abuse, Provider/1.0", to=RETURN),
    "arf-not-spam": Nothing("complaint", "not-spam", COMPLAINTS),
    "arf-auth-failure": Nothing("complaint", "auth-failure", COMPLAINTS),
    "arf-nobody": Nothing("complaint", "no-token", COMPLAINTS),
    "arf-forged": Nothing("complaint", "no-token", COMPLAINTS),
    "jmrp": Complained("", "mail"),
    "unsubscribe-gmail": Unsubscribed(),
    "unsubscribe-apple": Unsubscribed(),
    "unsubscribe-by-hand": Unsubscribed(),
    "bounce-to-unsubscribe": Nothing("other", "automatic", UNSUBSCRIBE),
    "vacation-to-unsubscribe": Nothing("other", "automatic", UNSUBSCRIBE),
}


def test_every_message_has_an_expectation() -> None:
    assert {file.stem for file in CORPUS.glob("*.eml")} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
@pytest.mark.parametrize("line_end", [b"\r\n", b"\n"])
def test_what_it_comes_to(name: str, line_end: bytes) -> None:
    expected = EXPECTED[name]
    # Whether the return path is empty must only matter where people write.
    for null_sender in (False,) if isinstance(expected, Unsubscribed) else (True, False):
        data = message(name).replace(b"\r\n", line_end)
        finding = judged(data, expected.to, null_sender=null_sender)
        if isinstance(expected, Nothing):
            assert finding == (expected.kind, None, expected.why_not)
            continue
        told = finding.feedback
        assert told is not None, finding
        assert (told.recipient, told.at) == (ANNA, NOW)
        if isinstance(expected, Bounced):
            assert (finding.kind, told.event, told.source) == (
                "bounce",
                Event.BOUNCED,
                expected.source,
            )
            assert (told.enhanced, told.permanent) == (expected.enhanced, expected.permanent)
            assert told.detail.partition(": ")[0] == expected.kind
        elif isinstance(expected, Complained):
            assert (told.event, told.source, told.detail) == (
                expected.event,
                expected.source,
                expected.detail,
            )
            assert finding.kind == "complaint"
        else:
            assert (told.event, told.source) == (Event.UNSUBSCRIBED, "mail")
            assert finding.kind == "unsubscribe"


def test_what_our_own_message_says_is_not_taken_for_the_receivers_words() -> None:
    """The messages of the corpus that return ours return `550 5.7.1 roses` with it."""
    returning = [name for name in EXPECTED if b"550 5.7.1 roses" in message(name)]
    assert len(returning) >= 10
    for name in returning:
        told = judged(message(name), EXPECTED[name].to).feedback
        assert told is None or "roses" not in told.detail


def test_only_what_a_person_sends_unsubscribes() -> None:
    finding = judged(message("unsubscribe-by-hand"), UNSUBSCRIBE, null_sender=True)
    assert finding == ("other", None, "automatic")


def test_to_forward_our_message_to_its_return_path_is_no_complaint() -> None:
    assert judged(message("jmrp"), RETURN, null_sender=False) == ("other", None, "unrecognised")


@pytest.mark.parametrize("name", EXPECTED)
def test_any_beginning_of_it_does_no_harm(name: str) -> None:
    """Cut off wherever: no error, and never an unsubscription or complaint out of a bounce."""
    whole, to = message(name), EXPECTED[name].to
    expected = EXPECTED[name]
    for end in range(0, len(whole), 37):
        told = judged(whole[:end], to).feedback
        if told is not None and isinstance(expected, Bounced):
            assert told.event is Event.BOUNCED or to == COMPLAINTS
