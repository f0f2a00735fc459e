"""The receiving side of one SMTP session (RFC 5321), without I/O.

Feed it what arrives; it answers with what to write, and says in `hold`, `starttls` and
`closing` what to do besides. Made to take very many messages: a pipelined MAIL, RCPT, DATA
group is read and answered in one step, and content is searched once. It is strict where a
sender's fault would go unnoticed elsewhere: it counts what a client sends before it may.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

from campaignd.sandbox.auth import Authentication, Credentials
from campaignd.sandbox.counters import Counters
from campaignd.sandbox.policy import Fate, SinkPolicy

HOST: Final = b"sink.localhost"
_LINE_LIMIT: Final = 12_288
"""Octets of a command line: RFC 4954, 4, which is above RFC 5321, 4.5.3.1.4."""
_RECIPIENT_LIMIT: Final = 1000  # recipients of one transaction
_ERROR_LIMIT: Final = 20  # bad commands before the session is closed

_PATH: Final = rb'<((?:"(?:[^"\\\r\n]|\\[^\r\n])*"|[^"<>\s@\x00]+)(?:@[^<>\s\x00]+)?)>'
_GROUP = re.compile(
    rb"MAIL FROM:<([^<>\"\s\x00\x7f-\xff]*)>((?: [^\s]+)*)\r\n"
    rb"RCPT TO:<([^<>\"\s\x00\x7f-\xff]+)>\r\nDATA\r\n",
    re.I,
).match
_MAIL = re.compile(rb"MAIL FROM: ?(?:<>|" + _PATH + rb")((?: [^\s]+)*) *", re.I).fullmatch
_RCPT = re.compile(rb"RCPT TO: ?" + _PATH + rb" *", re.I).fullmatch
_END: Final = b"\r\n.\r\n"


class Delivery(NamedTuple):
    """One message that the sink answers for, and the recipients it was accepted for."""

    session: int
    sender: bytes
    recipients: tuple[bytes, ...]
    content: bytes
    """As transmitted: dot-stuffed, ending in CRLF, without the final dot."""


class Receiver(Protocol):
    """What a dialogue needs of the sink that it belongs to."""

    policy: SinkPolicy
    counters: Counters

    def take(self, delivery: Delivery) -> None:
        """Notes a message that is going to be acknowledged."""

    def fate(self, recipient: bytes) -> Fate | None:
        """What becomes of this attempt to deliver to a recipient; None: it is accepted."""


class Dialogue:
    """One session. `greet`, `receive`, `resume` and `expire` return what to write, which must
    not happen before what the receiver took is kept.

    Afterwards: if `closing`, close. If `hold` is above 0, read no more and call `resume` after
    so many seconds. If `starttls`, read no more plaintext, start TLS, then call `secured`.
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
        self._rest = b""
        self._held = b""
        self._messages = 0
        self._errors = 0
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
        """Between a MAIL that was accepted and the final dot, and not by our own doing."""
        return self._sender is not None and not self.closing

    def greet(self) -> bytes:
        """The greeting, or a refusal if the sink has as many sessions as its policy allows."""
        limit = self._policy.max_sessions
        if limit is not None and self._counters.sessions > limit:
            self._counters.refused += 1
            self.closing = True
            return b"421 " + HOST + b" too many sessions\r\n"
        return b"220 " + HOST + b" ESMTP campaignd sink\r\n"

    def receive(self, data: bytes) -> bytes:
        """Takes octets as they arrive, in any portions."""
        if self._rest:
            data, self._rest = self._rest + data, b""
        position, end = 0, len(data)
        out: list[bytes] = []
        while position < end:
            if self.closing:
                return b"".join(out)
            if self.hold or self.starttls:
                self._rest = data[position:]
                break
            if self._content is not None:
                position = self._read_content(data, position, out)
            else:
                after = self._read_command(data, position, out)
                if after == position:  # not all of a line
                    self._rest = data[position:]
                    break
                position = after
        return out[0] if len(out) == 1 else b"".join(out)

    def resume(self) -> bytes:
        """To be called `hold` seconds after it was set."""
        held, self._held, self.hold = self._held, b"", 0.0
        return held + self.receive(b"")

    def expire(self) -> bytes:
        """To be called when the client was silent for too long (RFC 5321, 4.5.3.2.7)."""
        self.closing = True
        return self._reply(421, b"4.4.2", b"idle for too long")

    def secured(self) -> None:
        """TLS is on; all that was said before is forgotten (RFC 3207, 4.2)."""
        self.starttls = self._offers_tls = False
        self._rest = b""
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
        self._content: bytearray | None = None
        self._too_big = False

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

    def _read_command(self, data: bytes, position: int, out: list[bytes]) -> int:
        """Answers one line or one group; returns where the next starts, or `position`."""
        if self._sender is None and self._policy.pipelining and self._authentication is None:
            group = _GROUP(data, position)
            if group is not None:
                reply = self._begin(group[1], group[2])
                if self._sender is not None:
                    reply += self._add(group[3]) + self._data(b"DATA")
                    position = group.end()
                else:  # MAIL failed; the rest gets its replies one by one
                    position = data.index(b"\r\n", position) + 2
                out.append(reply)
                self._check_early(data, position)
                return position
        end = data.find(b"\r\n", position)
        if end < 0 or end - position > _LINE_LIMIT:
            if len(data) - position > _LINE_LIMIT:
                self.closing = True
                out.append(self._error(500, b"5.5.2", b"line too long"))
            return position
        out.append(self._command(data[position:end]))
        self._check_early(data, end + 2)
        return end + 2

    def _check_early(self, data: bytes, position: int) -> None:
        if position < len(data) and (
            self._content is not None or self.starttls or not self._policy.pipelining
        ):
            self._counters.early_input += 1
            if self.starttls:  # plaintext that an attacker put before TLS (CVE-2011-0411)
                self.closing = True

    def _command(self, line: bytes) -> bytes:
        if self._authentication is not None:
            return self._continue_auth(line)
        handle = self._verbs.get(line[:4].upper())
        if handle is None:
            return self._error(500, b"5.5.2", b"no such command")
        return handle(line)

    def _ehlo(self, line: bytes) -> bytes:
        if not line[5:].strip():
            return self._error(501, b"5.5.4", b"a name is missing")
        self._reset()
        self._greeted = True
        if line[:1] in b"Hh":
            return b"250 " + HOST + b"\r\n"
        policy = self._policy
        offers = [HOST, b"SIZE %d" % policy.size_limit]
        offers += [b"PIPELINING"] * policy.pipelining
        offers += [b"8BITMIME"] * policy.eight_bit_mime
        offers += [b"SMTPUTF8"] * policy.smtputf8
        offers += [b"ENHANCEDSTATUSCODES"] * policy.enhanced_status_codes
        offers += [b"STARTTLS"] * self._offers_tls
        offers += [b"AUTH PLAIN LOGIN"] * self._may_authenticate()
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
        for parameter in parameters.split():
            name, _, value = parameter.upper().partition(b"=")
            if name == b"SIZE" and value.isdigit() and len(value) <= 20:
                if int(value) > self._policy.size_limit:
                    return self._reply(552, b"5.3.4", b"message too big")
            elif name == b"BODY" and value in (b"7BIT", b"8BITMIME"):
                self._eight_bit = value == b"8BITMIME"
            elif name == b"SMTPUTF8" and self._policy.smtputf8:
                self._utf8 = True
            elif name != b"AUTH":
                return self._error(555, b"5.5.4", b"parameter not known")
        if not (sender.isascii() or self._utf8):
            return self._error(553, b"5.6.7", b"needs SMTPUTF8")
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
        self._content = bytearray()
        return b"354 go on\r\n"

    def _read_content(self, data: bytes, position: int, out: list[bytes]) -> int:
        """Searches the final dot; returns where the next command starts, or the end."""
        content = self._content
        assert content is not None  # noqa: S101  the caller has looked
        if not content:
            if not data.startswith(b".\r\n", position):
                end = data.find(_END, position)
                if end >= 0:
                    out.append(self._finish(data[position : end + 2]))
                    self._check_early_after_dot(data, end + 5)
                    return end + 5
            content += b"\r\n"  # the line end before the content counts for the final dot
        before = len(content)
        content += data[position:] if position else data
        end = content.find(_END, max(0, before - 4))
        if end >= 0:
            out.append(self._finish(bytes(content[2 : end + 2])))
            position += end + 5 - before
            self._check_early_after_dot(data, position)
            return position
        if len(content) > self._policy.size_limit + 7:
            self._too_big = True
            del content[2:-4]
        return len(data)

    def _check_early_after_dot(self, data: bytes, position: int) -> None:
        if not self._policy.pipelining:
            self._check_early(data, position)

    def _finish(self, content: bytes) -> bytes:
        """The reply to the final dot; empty if it is held back or never comes."""
        delivery = Delivery(self._session, self._sender or b"", tuple(self._recipients), content)
        fates, too_big = self._fates, self._too_big or len(content) > self._policy.size_limit
        if not self._eight_bit and not content.isascii():
            self._counters.undeclared_eight_bit += 1
        if content.count(b"\n") != content.count(b"\r\n"):
            self._counters.bare_line_feeds += 1
        self._reset()
        self._messages += 1
        if too_big:
            return self._reply(552, b"5.3.4", b"message too big")
        if Fate.DROP in fates:
            self._counters.dropped += 1
            self.closing = True
            return b""
        for fate in (Fate.REJECT, Fate.DEFER):
            if fate in fates:
                return self._refuse(fate)
        self._receiver.take(delivery)
        if Fate.SWALLOW in fates:
            self._counters.swallowed += 1
            self.closing = True
            return b""
        reply = self._reply(250, b"2.0.0", b"taken")
        if self._policy.delay:
            self._held, self.hold = reply, self._policy.delay
            return b""
        return reply

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

    def _may_authenticate(self) -> bool:
        return self._credentials is not None and not self._offers_tls

    def _auth(self, line: bytes) -> bytes:
        if not self._may_authenticate() or self._authenticated or not self._greeted:
            return self._error(503, b"5.5.1", b"AUTH is not due")
        assert self._credentials is not None  # noqa: S101
        self._authentication = Authentication(self._credentials, line[5:])
        return self._next_of_auth()

    def _continue_auth(self, line: bytes) -> bytes:
        assert self._authentication is not None  # noqa: S101
        self._authentication.answer(line)
        return self._next_of_auth()

    def _next_of_auth(self) -> bytes:
        step = self._authentication
        assert step is not None  # noqa: S101
        if step.challenge is not None:
            return b"334 " + step.challenge + b"\r\n"
        self._authentication = None
        if step.succeeded:
            self._authenticated = True
            return self._reply(235, b"2.7.0", b"welcome")
        return self._error(535, b"5.7.8", b"credentials not accepted")
