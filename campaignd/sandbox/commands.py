"""What a receiving SMTP server answers to commands and contents (RFC 5321), without I/O.

Takes whole command lines and whole contents; `dialogue` makes them out of octets.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from campaignd.sandbox.auth import Authentication, Credentials
from campaignd.sandbox.policy import Fate
from campaignd.sandbox.receiver import Delivery, Receiver

HOST: Final = b"sink.localhost"
_RECIPIENT_LIMIT: Final = 1000  # recipients of one transaction
_ERROR_LIMIT: Final = 20  # bad commands before the session is closed

_PATH: Final = rb'<((?:"(?:[^"\\\r\n]|\\[^\r\n])*"|[^"<>\s@\x00]+)(?:@[^<>\s\x00]+)?)>'
_MAIL = re.compile(rb"MAIL FROM: ?(?:<>|" + _PATH + rb")((?: [^\s]+)*) *", re.I).fullmatch
_RCPT = re.compile(rb"RCPT TO: ?" + _PATH + rb" *", re.I).fullmatch


class Commands:
    """The state of one session and its open transaction.

    Each method returns the reply, which must not be written before what the receiver took is
    kept; an empty one is no reply. Afterwards `closing`, `hold` (seconds) and `starttls` say
    what else to do, and `expects_content` whether content is due instead of a command.
    """

    def __init__(
        self,
        receiver: Receiver,
        session: int,
        *,
        starttls: bool = False,
        credentials: Credentials | None = None,
    ) -> None:
        """`starttls`: it is offered, and must precede AUTH if `credentials` are asked for."""
        self._receiver = receiver
        self._policy = receiver.policy
        self._counters = receiver.counters
        self._session = session
        self._offers_tls = starttls
        self._credentials = credentials
        self._messages = 0
        self._errors = 0
        self._held = b""
        self.closing = False
        self.hold = 0.0
        self.starttls = False
        self._forget()
        self._verbs: dict[bytes, Callable[[bytes], bytes]] = {
            b"EHLO": self._ehlo,
            b"HELO": self._ehlo,
            b"MAIL": self._mail,
            b"RCPT": self._rcpt,
            b"DATA": self._data,
            b"RSET": self._rset,
            b"NOOP": lambda _: self._reply(250, b"2.0.0", b"still here"),
            b"VRFY": lambda _: self._reply(252, b"2.1.5", b"send it and see"),
            b"QUIT": self._quit,
            b"STAR": self._start_tls,
            b"AUTH": self._auth,
        }

    @property
    def in_transaction(self) -> bool:
        """Between a MAIL that was accepted and the final dot."""
        return self._sender is not None

    @property
    def takes_group(self) -> bool:
        """Whether MAIL could be due, so that `group` may be called."""
        return self._sender is None and self._authentication is None

    def greet(self) -> bytes:
        """The greeting, or a refusal if the sink has as many sessions as its policy allows."""
        limit = self._policy.max_sessions
        if limit is not None and self._counters.sessions > limit:
            self._counters.refused += 1
            self.closing = True
            return b"421 " + HOST + b" too many sessions\r\n"
        return b"220 " + HOST + b" ESMTP campaignd sink\r\n"

    def command(self, line: bytes) -> bytes:
        """Answers one command line, without its CRLF."""
        if self._authentication is not None:
            self._authentication.answer(line)
            return self._next_of(self._authentication)
        handle = self._verbs.get(line[:4].upper())
        if handle is None:
            return self._error(500, b"5.5.2", b"no such command")
        return handle(line)

    def group(self, sender: bytes, parameters: bytes, recipient: bytes) -> bytes:
        """Answers MAIL, RCPT and DATA at once, with mailboxes that are well formed; or MAIL
        alone if that is refused: then `in_transaction` is false, and RCPT still to be answered.
        """
        reply = self._begin(sender, parameters)
        if self._sender is not None:
            reply += self._add(recipient) + self._data(b"DATA")
        return reply

    def line_too_long(self) -> bytes:
        """Answers a line that has no end in sight."""
        self.closing = True
        return self._error(500, b"5.5.2", b"line too long")

    def release(self) -> bytes:
        """The reply that was held back; to be called `hold` seconds after that was set."""
        held, self._held, self.hold = self._held, b"", 0.0
        return held

    def expire(self) -> bytes:
        """To be called when the client was silent for too long (RFC 5321, 4.5.3.2.7)."""
        self.closing = True
        return self._reply(421, b"4.4.2", b"idle for too long")

    def secured(self) -> None:
        """TLS is on; all that was said before is forgotten (RFC 3207, 4.2)."""
        self.starttls = self._offers_tls = False
        self._forget()

    def _forget(self) -> None:
        self._greeted = False
        self._authenticated = self._credentials is None
        self._authentication: Authentication | None = None
        self._reset()

    def _reset(self) -> None:
        self._sender: bytes | None = None
        self._utf8 = self._eight_bit = False
        self._recipients: list[bytes] = []
        self._fates: list[Fate] = []
        self.expects_content = False

    def _reply(self, code: int, enhanced: bytes, text: bytes) -> bytes:
        if self._policy.enhanced_status_codes:
            return b"%d %b %b\r\n" % (code, enhanced, text)
        return b"%d %b\r\n" % (code, text)

    def _error(self, code: int, enhanced: bytes, text: bytes) -> bytes:
        self._counters.bad_commands += 1
        self._errors += 1
        if self._errors > _ERROR_LIMIT:
            self.closing = True
            return self._reply(421, b"4.7.0", b"too many errors")
        return self._reply(code, enhanced, text)

    def _ehlo(self, line: bytes) -> bytes:
        if not line[5:].strip():
            return self._error(501, b"5.5.4", b"a name is missing")
        self._reset()
        self._greeted = True
        if line[:1] in b"Hh":
            return b"250 " + HOST + b"\r\n"
        offers = [HOST, *self._policy.extensions()]
        offers += [b"STARTTLS"] * self._offers_tls
        offers += [b"AUTH PLAIN LOGIN"] * self._offers_auth()
        return b"250-" + b"\r\n250-".join(offers[:-1]) + b"\r\n250 " + offers[-1] + b"\r\n"

    def _mail(self, line: bytes) -> bytes:
        match = _MAIL(line)
        if match is None:
            return self._error(501, b"5.1.7", b"not a mailbox")
        return self._begin(match[1] or b"", match[2])

    def _begin(self, sender: bytes, parameters: bytes) -> bytes:
        """MAIL, with a mailbox that is well formed."""
        if not self._greeted or self._sender is not None:
            return self._error(503, b"5.5.1", b"MAIL is not due")
        if not self._authenticated:
            return self._error(530, b"5.7.0", b"authentication required")
        if self._messages == self._policy.messages_per_session:
            self.closing = True
            return self._reply(421, b"4.3.2", b"enough for this session")
        utf8 = eight_bit = False
        for parameter in parameters.split():
            name, _, value = parameter.upper().partition(b"=")
            if name == b"SIZE" and value.isdigit() and len(value) <= 20:
                if int(value) > self._policy.size_limit:
                    return self._reply(552, b"5.3.4", b"message too big")
            elif name == b"BODY" and self._policy.eight_bit_mime:
                eight_bit = value == b"8BITMIME"
            elif name == b"SMTPUTF8" and self._policy.smtputf8:
                utf8 = True
            elif name != b"AUTH":
                return self._error(555, b"5.5.4", b"parameter not known")
        if not (sender.isascii() or utf8):
            return self._error(553, b"5.6.7", b"needs SMTPUTF8")
        self._utf8, self._eight_bit = utf8, eight_bit
        self._sender = sender
        return self._reply(250, b"2.1.0", b"ok")

    def _rcpt(self, line: bytes) -> bytes:
        if self._sender is None:
            return self._error(503, b"5.5.1", b"MAIL first")
        match = _RCPT(line)
        if match is None:
            return self._error(501, b"5.1.3", b"not a mailbox")
        if not (match[1].isascii() or self._utf8):
            return self._error(553, b"5.6.7", b"needs SMTPUTF8")
        if len(self._recipients) == _RECIPIENT_LIMIT:
            return self._reply(452, b"4.5.3", b"too many recipients")
        return self._add(match[1])

    def _add(self, recipient: bytes) -> bytes:
        """RCPT, with a mailbox that is well formed."""
        fate = self._receiver.fate(recipient) if self._policy.rules else None
        if self._policy.at == "rcpt" and fate in (Fate.REJECT, Fate.DEFER):
            return self._refuse(fate)
        if fate is not None:
            self._fates.append(fate)
        self._recipients.append(recipient)
        return self._reply(250, b"2.1.5", b"ok")

    def _refuse(self, fate: Fate) -> bytes:
        if fate is Fate.REJECT:
            self._counters.rejected += 1
            return self._reply(550, b"5.1.1", b"no such mailbox here")
        self._counters.deferred += 1
        return self._reply(451, b"4.2.1", b"try again later")

    def _data(self, _line: bytes) -> bytes:
        if self._sender is None:
            return self._error(503, b"5.5.1", b"MAIL first")
        if not self._recipients:
            return self._reply(554, b"5.5.1", b"no valid recipients")
        self.expects_content = True
        return b"354 go on\r\n"

    def content(self, content: bytes, *, too_big: bool = False) -> bytes:
        """Answers the final dot; with nothing if the reply is held back or never comes.

        `content` ends in CRLF and is dot-stuffed still; if `too_big`, it is not all of it.
        """
        delivery = Delivery(self._session, self._sender or b"", tuple(self._recipients), content)
        fates = self._fates
        too_big = too_big or len(content) > self._policy.size_limit
        if not self._eight_bit and not content.isascii():
            self._counters.undeclared_eight_bit += 1
        if content.count(b"\n") != content.count(b"\r\n"):
            self._counters.bare_line_feeds += 1
        self._reset()
        self._messages += 1
        if too_big:
            self._counters.rejected += 1
            return self._reply(552, b"5.3.4", b"message too big")
        if Fate.DROP in fates:
            self._counters.dropped += 1
            return self._break_off()
        for fate in (Fate.REJECT, Fate.DEFER):
            if fate in fates:
                return self._refuse(fate)
        self._receiver.take(delivery)
        if Fate.SWALLOW in fates:
            self._counters.swallowed += 1
            return self._break_off()
        reply = self._reply(250, b"2.0.0", b"taken")
        if self._policy.delay:
            self._held, self.hold = reply, self._policy.delay
            return b""
        return reply

    def _break_off(self) -> bytes:
        self.closing = True
        return b""

    def _rset(self, _line: bytes) -> bytes:
        self._reset()
        return self._reply(250, b"2.0.0", b"ok")

    def _quit(self, _line: bytes) -> bytes:
        self.closing = True
        return self._reply(221, b"2.0.0", b"bye")

    def _start_tls(self, line: bytes) -> bytes:
        if line.upper() != b"STARTTLS" or not self._offers_tls:
            return self._error(502, b"5.5.1", b"not offered")
        self.starttls = True
        return self._reply(220, b"2.0.0", b"go on")

    def _offers_auth(self) -> bool:
        return self._credentials is not None and not self._offers_tls  # no secret in the clear

    def _auth(self, line: bytes) -> bytes:
        due = self._greeted and self._offers_auth() and not self._authenticated
        if self._credentials is None or not due:
            return self._error(503, b"5.5.1", b"AUTH is not due")
        self._authentication = Authentication(self._credentials, line[5:])
        return self._next_of(self._authentication)

    def _next_of(self, exchange: Authentication) -> bytes:
        if exchange.challenge is not None:
            return b"334 " + exchange.challenge + b"\r\n"
        self._authentication = None
        if exchange.succeeded:
            self._authenticated = True
            return self._reply(235, b"2.7.0", b"welcome")
        return self._error(535, b"5.7.8", b"credentials not accepted")
