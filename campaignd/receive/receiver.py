"""Decides about each address and each message that is brought, and answers.

A message is answered with 250 only when what it says is committed; while MySQL is away the answer
is 451, and the mail waits in the queue of whoever brings it.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiosmtpd.smtp import Envelope

from campaignd import events, metrics
from campaignd.errors import StoreOutage, UsageError
from campaignd.feedback import Feedback, Taken
from campaignd.receive.content import read
from campaignd.receive.judge import Finding, judge
from campaignd.receive.mailbox import Mailbox, Mailboxes
from campaignd.receive.session import Session
from campaignd.tokens import TokenError

MAX_RECIPIENTS: Final = 100
"""Of one message (RFC 5321, 4.5.3.1.8)."""

NULL_SENDER: Final = "<>"
"""As aiosmtpd has it."""

UNKNOWN: Final = "550 5.1.1 There is no such address"

Take = Callable[[Feedback], Awaitable[Taken]]


class Receiver:
    """The handler of all sessions (see aiosmtpd's hooks)."""

    def __init__(self, boxes: Mailboxes, take: Take, *, connections: int) -> None:
        """`take` makes a notice durable; at most so many `connections` are open at once."""
        self.sessions: set[Session] = set()
        self._boxes = boxes
        self._take = take
        self._connections = connections

    def opened(self, session: Session) -> bool:
        """See `session.Owner`."""
        if len(self.sessions) >= self._connections:
            metrics.received.labels("connection", "refused").inc()
            return False
        self.sessions.add(session)
        return True

    def closed(self, session: Session) -> None:
        """See `session.Owner`."""
        self.sessions.discard(session)

    async def handle_RCPT(
        self, server: Session, session: object, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Only addresses of ours, with tokens of ours."""
        if len(envelope.rcpt_tos) >= MAX_RECIPIENTS:
            return "452 4.5.3 Too many recipients"
        try:
            found = self._boxes.find(address)
        except TokenError:
            found = None
            metrics.received.labels("recipient", "forged").inc()
        else:
            if found is None:
                metrics.received.labels("recipient", "unknown").inc()
        if found is None:
            return UNKNOWN
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: Session, session: object, envelope: Envelope) -> list[str]:
        """A reply for each recipient."""
        content = read(envelope.original_content or b"")
        null_sender = envelope.mail_from == NULL_SENDER
        now = time.time()

        @functools.cache  # it is work, and may be asked for with the same address again and again
        def finding(mailbox: Mailbox) -> Finding:
            return judge(content, mailbox, self._boxes, null_sender=null_sender, now=now)

        return [await self._deliver(finding, address) for address in envelope.rcpt_tos]

    async def handle_exception(self, error: Exception) -> str:
        """A bug, or something that no test has thought of: the mail is kept by its sender."""
        events.crashed(error)
        return "451 4.3.0 Internal error, try again later"

    async def _deliver(self, judged: Callable[[Mailbox], Finding], address: str) -> str:
        mailbox = self._boxes.find(address)
        if mailbox is None:
            return UNKNOWN
        finding = judged(mailbox)
        fields: dict[str, Any] = {}
        result = finding.why_not
        if finding.feedback is not None:
            fields = {"campaign": finding.feedback.recipient.campaign}
            try:
                taken = await self._take(finding.feedback)
            except (StoreOutage, UsageError) as error:
                events.store_outage("feedback", error)
                metrics.received.labels(finding.kind, "put-off").inc()
                return "451 4.3.0 Cannot record it now, try again later"
            result = taken.value
        metrics.received.labels(finding.kind, result).inc()
        events.mail_received(finding.kind, result, **fields)
        return "250 2.0.0 OK"
