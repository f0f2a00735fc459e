"""Builds the commands of a transaction (RFC 5321, 4.1.1) for what a server offers.

It must never let a job say more than one MAIL and one RCPT: the composer has checked every
address, and this checks them again. That no line inside a message is a lone dot is the
composer's duty alone: looking for one costs 2 us in 4 KB, a tenth of sending it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from campaignd.errors import RowError
from campaignd.model import Job

DATA: Final = b"DATA\r\n"
RSET: Final = b"RSET\r\n"
QUIT: Final = b"QUIT\r\n"
FINAL_DOT: Final = b".\r\n"
END_OF_MESSAGE: Final = b"\r\n.\r\n"

MAX_PATH: Final = 254
"""Octets of a mailbox: a path has at most 256 with its angle brackets (RFC 5321, 4.5.3.1.3)."""

_ASCII: Final = bytes(octet for octet in range(0x21, 0x7F) if octet not in b"<>")
_UTF8: Final = _ASCII + bytes(range(0x80, 0x100))


class Unsendable(RowError):
    """This job cannot be sent over this session at all; its recipient is rejected."""

    def __init__(self, enhanced: str, reason: str) -> None:
        super().__init__(reason)
        self.enhanced = enhanced
        """The status code (RFC 3463) to record."""


class Capabilities(NamedTuple):
    """What the last EHLO of a session offered, as far as it matters to us."""

    pipelining: bool = False
    """RFC 2920."""
    eight_bit: bool = False
    """8BITMIME, RFC 6152."""
    smtputf8: bool = False
    """RFC 6531."""
    size: int | None = None
    """SIZE, RFC 1870: octets that a message may have, 0 for no known limit, None when the
    extension is not offered."""

    @classmethod
    def from_ehlo(cls, extensions: Mapping[str, str]) -> Capabilities:
        """From EHLO's keywords, in lower case, with their parameters."""
        size: int | None = None
        if "size" in extensions:
            parameter = extensions["size"].strip()
            size = int(parameter) if parameter.isascii() and parameter.isdigit() else 0
        return cls(
            pipelining="pipelining" in extensions,
            eight_bit="8bitmime" in extensions,
            smtputf8="smtputf8" in extensions,
            size=size,
        )


def prepare(job: Job, offered: Capabilities) -> None:
    """Makes `job` fit the session (composes it anew without 8BITMIME), and checks it.

    Raises Unsendable when it cannot be sent here, or must not be sent anywhere.
    """
    allowed = _ASCII
    if job.smtputf8:
        if not offered.smtputf8:
            raise Unsendable("5.6.7", "the message needs SMTPUTF8, which the relay does not offer")
        allowed = _UTF8
    if job.eight_bit and not offered.eight_bit:
        if job.recode is None:
            raise Unsendable("5.6.3", "the message needs 8BITMIME, which the relay does not offer")
        job.message = job.recode()
        job.eight_bit = False
    recipient = job.recipient
    if not recipient or len(recipient) > MAX_PATH or recipient.translate(None, allowed):
        raise Unsendable("5.1.3", "the recipient's address cannot be sent in RCPT")
    sender = job.sender
    if len(sender) > MAX_PATH or sender.translate(None, allowed):
        raise Unsendable("5.1.7", "the sender's address cannot be sent in MAIL")
    if not (job.tail or job.message).endswith(END_OF_MESSAGE):
        raise Unsendable("5.6.0", "the message does not end where its final dot is")
    if offered.size and (size := _size(job)) > offered.size:
        raise Unsendable("5.3.4", f"the message has {size} octets, the relay takes {offered.size}")


def _size(job: Job) -> int:
    """Octets without the final dot (RFC 1870, 3); stuffed dots are counted, which the RFC lets an
    estimate do."""
    return len(job.message) + len(job.tail) - len(FINAL_DOT)


def mail(job: Job, offered: Capabilities) -> bytes:
    """MAIL for a prepared job."""
    command = b"MAIL FROM:<%b>" % job.sender
    if offered.size is not None:
        command += b" SIZE=%d" % _size(job)
    if job.eight_bit:
        command += b" BODY=8BITMIME"
    if job.smtputf8:
        command += b" SMTPUTF8"
    return command + b"\r\n"


def rcpt(job: Job) -> bytes:
    """RCPT for a prepared job."""
    return b"RCPT TO:<%b>\r\n" % job.recipient


def group(job: Job, offered: Capabilities) -> bytes:
    """MAIL, RCPT and DATA in one piece, for a server that offers PIPELINING (RFC 2920, 3.1)."""
    if offered.size is None or job.eight_bit or job.smtputf8:
        return mail(job, offered) + rcpt(job) + DATA
    return b"MAIL FROM:<%b> SIZE=%d\r\nRCPT TO:<%b>\r\nDATA\r\n" % (
        job.sender,
        _size(job),
        job.recipient,
    )
