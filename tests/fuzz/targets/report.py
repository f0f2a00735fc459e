"""Mail that comes back: whatever it says, it is read within bounds and harms nobody but who its
token names."""

from __future__ import annotations

from typing import Final

from campaignd.feedback import Event
from campaignd.receive.content import (
    MAX_FIELDS,
    MAX_PARTS,
    MAX_TEXT_OCTETS,
    Content,
    read,
)
from campaignd.receive.judge import Finding, judge
from campaignd.tokens import Purpose, TokenKeys
from tests.fuzz.choices import Choices
from tests.unit.receive.messages import (
    ANNA,
    COMPLAINTS,
    NOW,
    RETURN,
    UNSUBSCRIBE,
    boxes,
    mailbox,
    token,
)

_GOOD: Final = [token(purpose).encode() for purpose in Purpose]
_FORGED: Final = token(Purpose.RETURN, signed_by=TokenKeys([b"f" * 32])).encode()
_BOXES: Final = (RETURN, UNSUBSCRIBE, COMPLAINTS)

_WORDS: Final = (
    b"Content-Type: multipart/report; report-type=delivery-status; boundary=b\n",
    b"Content-Type: multipart/report; report-type=feedback-report; boundary=b\n",
    b'Content-Type: multipart/mixed;\n boundary="b"\n',
    b"Content-Type: message/delivery-status\n",
    b"Content-Type: message/feedback-report\n",
    b"Content-Type: message/rfc822\n",
    b"Content-Type: text/rfc822-headers\n",
    b"Content-Type: text/plain\n",
    b"Content-Transfer-Encoding: base64\n",
    b"Content-Transfer-Encoding: quoted-printable\n",
    b"From: MAILER-DAEMON@x\n",
    b"Subject: Undelivered Mail\n",
    b"Subject: Automatic reply: x\n",
    b"Subject: Warning: delayed\n",
    b"X-Failed-Recipients: a@b\n",
    b"Auto-Submitted: auto-replied\n",
    b"X-Link: <https://x/u/" + _GOOD[0] + b">\n",
    b"Return-Path: <b-" + _GOOD[1] + b"@x>\n",
    b"Return-Path: <b-" + _FORGED + b"@x>\n",
    b"\n",
    b"\n\n",
    b"--b\n",
    b"--b--\n",
    b"Action: failed\n",
    b"Action: delayed\n",
    b"Status: 5.1.1\n",
    b"Status: 4.2.2\n",
    b"Diagnostic-Code: smtp; 550 5.1.1 User unknown\n",
    b"550 5.1.1 User unknown\n",
    b"Feedback-Type: abuse\n",
    b"Feedback-Type: not-spam\n",
    b"--- Below this line is a copy of the message.\n",
)


def run(data: bytes) -> None:
    choices = Choices(data)
    address = choices.pick(_BOXES)
    null_sender = choices.flag()
    message = _made(choices) if choices.flag() else choices.rest()
    content = read(message)
    _check_bounds(content)
    finding = _judged(content, address, null_sender)
    _check_harm(finding, message, address)
    if b"\r" not in message:
        assert _judged(read(message.replace(b"\n", b"\r\n")), address, null_sender) == finding


def _made(choices: Choices) -> bytes:
    pieces = []
    while choices.more():
        pieces.append(choices.octets(40) if choices.number(0, 9) == 0 else choices.pick(_WORDS))
    return b"".join(pieces)


def _judged(content: Content, address: str, null_sender: bool) -> Finding:
    return judge(content, mailbox(address), boxes, null_sender=null_sender, now=NOW)


def _check_bounds(content: Content) -> None:
    assert len(content.parts) <= MAX_PARTS
    assert len(content.header.all) <= MAX_FIELDS
    for part in content.parts:
        assert len(part.text()) <= MAX_TEXT_OCTETS


def _check_harm(finding: Finding, message: bytes, address: str) -> None:
    told = finding.feedback
    if told is None:
        assert finding.why_not
        return
    assert not finding.why_not
    assert told.recipient == ANNA
    if address == COMPLAINTS:
        assert _hidden_or_plain(message), "nobody was named"
    if address == UNSUBSCRIBE:
        assert told.event is Event.UNSUBSCRIBED
    if told.event is Event.BOUNCED and told.permanent:
        assert told.detail.startswith("address_bad: ")
        assert not told.enhanced.startswith(("2", "4"))


def _hidden_or_plain(message: bytes) -> bool:
    """Whether a good token may be in it: as it is, or in an encoding."""
    lowered = message.lower()
    return any(word in lowered for word in (*_GOOD, b"base64", b"quoted-printable"))
