"""The corpus of messages that come back, with real tokens put into their places."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from campaignd.receive.content import read
from campaignd.receive.judge import Finding, judge
from campaignd.receive.mailbox import Mailbox, Mailboxes
from campaignd.tokens import Purpose, RecipientId, TokenKeys

CORPUS: Final = Path(__file__).parent / "corpus"
DOMAIN: Final = "bounces.example.com"
ANNA: Final = RecipientId(7, 3, 41)
NOW: Final = 1_800_000_000.0

keys: Final = TokenKeys([b"k" * 32])
boxes: Final = Mailboxes(DOMAIN, ["complaints"], keys)


def token(purpose: Purpose, recipient: RecipientId = ANNA, signed_by: TokenKeys = keys) -> str:
    return signed_by.signer(purpose, recipient.campaign)(*recipient[1:]).decode()


RETURN: Final = f"b-{token(Purpose.RETURN)}@{DOMAIN}"
UNSUBSCRIBE: Final = f"u-{token(Purpose.UNSUBSCRIBE)}@{DOMAIN}"
COMPLAINTS: Final = f"complaints@{DOMAIN}"


def message(name: str) -> bytes:
    """A message of the corpus as it comes over the wire."""
    text = (CORPUS / f"{name}.eml").read_bytes()
    for place, value in (
        (b"@RETURN@", token(Purpose.RETURN)),
        (b"@UNSUBSCRIBE@", token(Purpose.UNSUBSCRIBE)),
        (b"@FORGED@", token(Purpose.RETURN, signed_by=TokenKeys([b"f" * 32]))),
    ):
        text = text.replace(place, value.encode())
    return text.replace(b"\n", b"\r\n")


def mailbox(address: str) -> Mailbox:
    found = boxes.find(address)
    assert found is not None
    return found


def judged(data: bytes, address: str = RETURN, *, null_sender: bool = True) -> Finding:
    return judge(read(data), mailbox(address), boxes, null_sender=null_sender, now=NOW)
