"""One SMTP or LMTP session with whoever brings mail: aiosmtpd, but for the message itself.

aiosmtpd 1.4.6 keeps a message as a list of lines, which makes 80 MB and 1.8 s of work of one
megabyte of empty ones, keeps all of a line that never ends, and answers an LMTP client once where
it must answer for each recipient (RFC 2033, 4.2). So `smtp_DATA` is ours. What arrives beyond a
final dot is nobody's mail: we offer no PIPELINING, so who writes it is smuggling, and is cut off.
"""

from __future__ import annotations

import asyncio
from typing import Final, Protocol, cast

from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP, Envelope

from campaignd.receive.content import MAX_OCTETS

READ_OCTETS: Final = 65_536
_END: Final = b"\r\n.\r\n"


class Owner(Protocol):
    """What a session's handler is, besides its hooks."""

    def opened(self, session: Session) -> bool:
        """Whether it may go on: there is a limit to how many there are."""

    def closed(self, session: Session) -> None:
        """It has ended, however that came."""


class Session(SMTP):
    """SMTP. `busy` says that a message is under way, so that it should not be cut off."""

    busy = False
    _refused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Refuses at once what is too much."""
        self._refused = not self.event_handler.opened(self)
        if self._refused:
            wire = cast("asyncio.WriteTransport", transport)
            wire.write(b"421 4.3.2 Too many connections, try again later\r\n")
            wire.close()
        else:
            super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        if not self._refused:
            self.event_handler.closed(self)
            super().connection_lost(error)

    def data_received(self, data: bytes) -> None:
        if not self._refused:
            super().data_received(data)

    def eof_received(self) -> bool | None:
        return False if self._refused else super().eof_received()

    def finish(self) -> None:
        """Says that the service ends, between two messages."""
        if self.transport is not None and not self._writer.is_closing():
            self._writer.write(b"421 4.3.2 Service is being stopped\r\n")
            self._writer.close()

    def abort(self) -> None:
        """Ends it wherever it is."""
        if self.transport is not None:
            cast("asyncio.WriteTransport", self.transport).abort()

    async def smtp_DATA(self, arg: str | None) -> None:
        """RFC 5321, 4.1.1.4. The handler's DATA hook is called with the message, its dots removed,
        in `envelope.content`, and gives a reply for each recipient. Of a message no more is kept
        than MAX_OCTETS, and what has just been read."""
        if await self.check_helo_needed():
            return
        envelope = self.envelope
        if envelope is None or not envelope.rcpt_tos:
            await self.push("503 5.5.1 Need RCPT first")
            return
        if arg:
            await self.push("501 5.5.4 Syntax: DATA")
            return
        self.busy = True
        try:
            await self.push("354 End data with <CR><LF>.<CR><LF>")
            content, beyond = await self._message()
            await self._answer(await self._replies(envelope, content))
        finally:
            self.busy = False
            self.envelope = self._create_envelope()
        if beyond:
            await self.push("421 4.7.0 Commands must wait for replies")
            self._writer.close()

    async def _replies(self, envelope: Envelope, content: bytes | None) -> list[str]:
        """One for each recipient."""
        if content is None:
            return ["552 5.3.4 Message too large"] * len(envelope.rcpt_tos)
        envelope.content = envelope.original_content = content
        try:
            replies: list[str] = await self._call_handler_hook("DATA")
        except Exception as error:  # noqa: BLE001 - aiosmtpd does so too, with a single reply
            replies = [await self.handle_exception(error)] * len(envelope.rcpt_tos)
        return replies

    async def _answer(self, replies: list[str]) -> None:
        """One reply for all recipients: what failed for one is tried again for all."""
        await self.push(min(replies, key=lambda reply: reply.startswith("2")))

    async def _message(self) -> tuple[bytes | None, bool]:
        """The beginning of the message, or None if it is too large, and whether there is more than
        it before our reply."""
        content = bytearray(b"\r\n")  # as if a line had ended: the message may be empty
        tail, size = bytes(content), 0
        while True:
            chunk = await self._reader.read(READ_OCTETS)
            if not chunk:
                raise ConnectionResetError("the connection ended within a message")
            if len(content) <= MAX_OCTETS:
                content += chunk
            window = tail + chunk
            end = window.find(_END)
            if end >= 0:
                length = size + end + 2 - len(tail)
                beyond = len(window) > end + len(_END)
                if length > (self.data_size_limit or length):
                    return None, beyond
                del content[length + 2 :]
                return bytes(content).replace(b"\r\n..", b"\r\n.")[2:], beyond
            size += len(chunk)
            tail = window[1 - len(_END) :]


class LmtpSession(LMTP, Session):
    """LMTP (RFC 2033)."""

    async def _answer(self, replies: list[str]) -> None:
        """One reply for each recipient, in order."""
        for reply in replies:
            await self.push(reply)
