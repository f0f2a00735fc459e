"""An SMTP server that takes messages, or refuses, delays and drops them as its policy says.

For the demo, tests and benchmarks: it keeps a log, not mail. This is the one that runs within
an event loop; `sinkserver` makes a process of it, `sinkprocess` starts such a one.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self, cast

from campaignd.errors import UsageError
from campaignd.sandbox.auth import Credentials
from campaignd.sandbox.commands import Commands
from campaignd.sandbox.counters import Counters
from campaignd.sandbox.dialogue import Dialogue
from campaignd.sandbox.policy import Fate, SinkPolicy, fingerprint
from campaignd.sandbox.receiver import Delivery
from campaignd.sandbox.sinklog import Accepted, LogWriter, as_text, headers

_BACKLOG: Final = 4096  # connections that wait to be accepted; thousands may come at once
_ONCE_LIMIT: Final = 2_000_000  # recipients whose first attempt is remembered
_TLS_TIMEOUT: Final = 30.0  # seconds for a handshake
_IDLE_CHECK: Final = 1.0  # seconds between two looks for idle sessions
_CLOSE_TIMEOUT: Final = 5.0  # seconds for aborted sessions to be gone


class Kept(NamedTuple):
    """A message that the sink was asked to keep whole."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes
    """As the sender meant it: without dot-stuffing."""


class Sink:
    """The server. An async context manager; `port` is known inside.

    `keep` messages at most are kept whole in `kept`: the first ones, or with `keep_for` the
    first ones to that address; with `keep_folder` also as files `1.eml`, `2.eml` and so on.
    `tls` makes it offer STARTTLS, or with `implicit_tls` speak TLS from the start;
    `credentials` make it insist on AUTH.
    """

    def __init__(
        self,
        policy: SinkPolicy | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        log: Path | None = None,
        tls: ssl.SSLContext | None = None,
        implicit_tls: bool = False,
        credentials: Credentials | None = None,
        keep: int = 0,
        keep_for: str | None = None,
        keep_folder: Path | None = None,
    ) -> None:
        self.policy = policy or SinkPolicy()
        self.host = host
        self.port = port
        self.counters = Counters()
        self.kept: list[Kept] = []
        self.tls = tls
        self.implicit_tls = implicit_tls
        self.credentials = credentials
        self._keep = keep
        self._keep_for = keep_for
        self._keep_folder = keep_folder
        self._log_path = log
        self._seen_once: set[int] = set()
        self._sessions: set[_Session] = set()
        self._all_closed = asyncio.Event()
        self._closing = False
        self._tasks = asyncio.TaskGroup()

    async def __aenter__(self) -> Self:
        """Raises UsageError if the address or the log cannot be used."""
        self.loop = asyncio.get_running_loop()
        self.log = LogWriter(self._log_path)
        try:
            self._server = await self.loop.create_server(
                lambda: _Session(self),
                self.host,
                self.port,
                backlog=_BACKLOG,
                ssl=self.tls if self.implicit_tls else None,
            )
        except OSError as error:
            self.log.close()
            raise UsageError(
                f"cannot listen on {self.host}:{self.port}: {error.strerror}"
            ) from None
        self.port = self._server.sockets[0].getsockname()[1]
        await self._tasks.__aenter__()
        self._idle_check = self._tasks.create_task(self._expire_idle())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._closing = True
        self._server.close()
        self._idle_check.cancel()
        for session in list(self._sessions):
            session.abort()
        try:
            await self._tasks.__aexit__(kind, error, traceback)
            if self._sessions:
                async with asyncio.timeout(_CLOSE_TIMEOUT):
                    await self._all_closed.wait()
        finally:
            self.log.close()

    def take(self, delivery: Delivery) -> None:
        """See `receiver.Receiver`. The log's lines are flushed by the session."""
        counters = self.counters
        size = len(delivery.content)
        counters.messages += 1
        counters.octets += size
        counters.accepted += len(delivery.recipients)
        message_id, attempt = headers(delivery.content)
        sender = as_text(delivery.sender)
        now = time.time()
        for recipient in delivery.recipients:
            self.log.add(
                Accepted(
                    as_text(recipient), sender, message_id, attempt, now, delivery.session, size
                )
            )
        if len(self.kept) < self._keep:
            self._keep_whole(delivery)

    def fate(self, recipient: bytes) -> Fate | None:
        """See `receiver.Receiver`. Remembers whom a `once` rule has met."""
        address = as_text(recipient)
        rule = self.policy.rule_for(address)
        if rule is None:
            return None
        if rule.once:
            mark = fingerprint(address)
            if mark in self._seen_once or len(self._seen_once) >= _ONCE_LIMIT:
                return None
            self._seen_once.add(mark)
        return rule.fate

    def opened(self, session: _Session) -> int:
        """Counts a new session and returns its number."""
        counters = self.counters
        self._sessions.add(session)
        counters.connections += 1
        counters.sessions += 1
        counters.most_sessions = max(counters.most_sessions, counters.sessions)
        return counters.connections

    def closed(self, session: _Session, *, cut_off: bool) -> None:
        """Forgets a session; `cut_off`: the client left within a transaction."""
        self._sessions.discard(session)
        self.counters.sessions -= 1
        if cut_off and not self._closing:
            self.counters.cut_off += 1
        if not self._sessions:
            self._all_closed.set()

    def start_tls(self, session: _Session) -> None:
        """Begins the handshake of a session that asked for STARTTLS."""
        self._tasks.create_task(session.handshake())

    def _keep_whole(self, delivery: Delivery) -> None:
        recipients = tuple(map(as_text, delivery.recipients))
        if self._keep_for is None or self._keep_for in recipients:
            content = delivery.content.replace(b"\r\n..", b"\r\n.")
            if content.startswith(b".."):
                content = content[1:]
            self.kept.append(Kept(as_text(delivery.sender), recipients, content))
            if self._keep_folder is not None:
                (self._keep_folder / f"{len(self.kept)}.eml").write_bytes(content)

    async def _expire_idle(self) -> None:
        while True:
            await asyncio.sleep(min(_IDLE_CHECK, self.policy.idle_timeout / 4))
            limit = self.loop.time() - self.policy.idle_timeout
            for session in [one for one in self._sessions if one.last_heard < limit]:
                session.expire()


class _Session(asyncio.Protocol):
    """The thin shell of a `Dialogue`: transport, timers and the order of log and reply."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._time = sink.loop.time
        self.last_heard = self._time()
        self._timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class
        sink = self._sink
        self._commands = Commands(
            sink,
            sink.opened(self),
            starttls=sink.tls is not None and not sink.implicit_tls,
            credentials=sink.credentials,
        )
        self._dialogue = Dialogue(sink, self._commands)
        self._act(self._commands.greet())

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        commands = self._commands
        self._sink.closed(self, cut_off=commands.in_transaction and not commands.closing)

    def data_received(self, data: bytes) -> None:
        self.last_heard = self._time()
        self._act(self._dialogue.receive(data))

    def pause_writing(self) -> None:
        """A client that sends commands and reads no replies waits."""
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        if not self._commands.hold:
            self._transport.resume_reading()

    def expire(self) -> None:
        """Closes a session that was silent for too long, unless it waits for us."""
        if not self._commands.hold:
            self._act(self._commands.expire())

    def abort(self) -> None:
        """Closes without a word."""
        self._transport.abort()

    async def handshake(self) -> None:
        """Goes over to TLS; a handshake that fails ends the session."""
        context = self._sink.tls
        assert context is not None  # noqa: S101
        try:
            transport = await self._sink.loop.start_tls(
                self._transport,
                self,
                context,
                server_side=True,
                ssl_handshake_timeout=_TLS_TIMEOUT,
            )
        except OSError:  # SSLError, ConnectionError and TimeoutError are its kinds
            self._transport.abort()
            return
        if transport is None:
            return  # closed meanwhile
        self._transport = transport
        self._commands.secured()

    def _act(self, reply: bytes) -> None:
        self._sink.log.flush()  # what was taken is logged before it is acknowledged
        transport, commands = self._transport, self._commands
        if reply:
            transport.write(reply)
        if commands.closing:
            transport.close()
        elif commands.hold:
            transport.pause_reading()
            self._timer = self._sink.loop.call_later(commands.hold, self._resume)
        elif commands.starttls:
            transport.pause_reading()
            self._sink.start_tls(self)

    def _resume(self) -> None:
        self._timer = None
        self.last_heard = self._time()
        self._transport.resume_reading()
        self._act(self._dialogue.resume())
