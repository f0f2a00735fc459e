"""Makes a connection to a relay: TCP, TLS, greeting, EHLO, STARTTLS and AUTH.

`aiosmtplib` speaks the handshake; its transport is then handed over to a session. TCP and
implicit TLS are opened here, not by aiosmtplib's `connect`, for two reasons: connecting and the
greeting have deadlines of their own, and a session over TLS needs the transport below TLS to
know when the kernel has taken everything (R3). Every failure leaves as a RelayOutage of one
line, without the password.
"""

from __future__ import annotations

import asyncio
import base64
import math
import socket
import ssl
import struct
import sys
from typing import Final, NamedTuple, cast

import aiosmtplib
from aiosmtplib.protocol import SMTPProtocol

from campaignd.config import Config, Relay
from campaignd.errors import ConfigError, RelayOutage
from campaignd.smtp.command import Capabilities
from campaignd.smtp.reply import printable

MAX_REASON: Final = 200
"""Characters of an outage's reason."""

MIN_RTT_OFFSET: Final = 148
"""Of `tcpi_min_rtt`, 32 bits in microseconds, in `struct tcp_info` of linux/tcp.h since 4.6."""

_TCP_INFO: Final[int | None] = (
    getattr(socket, "TCP_INFO", None) if sys.platform == "linux" else None
)


class Link(NamedTuple):
    """A connection that is ready for its first MAIL."""

    transport: asyncio.Transport
    below: asyncio.Transport
    """The TCP transport under TLS; the same as `transport` without TLS."""
    offered: Capabilities
    rtt: float
    """Seconds of the shortest round trip of this handshake: of EHLO, or as the kernel measured
    it, which does not count how busy we or the server were."""

    def close(self) -> None:
        """Drops the connection at once."""
        self.transport.abort()


class Connector:
    """Connects to one relay. The TLS context is built once, at the first need."""

    def __init__(self, config: Config, relay: Relay, *, host: str) -> None:
        """`host` is how we call ourselves in EHLO unless the relay's `helo` says otherwise."""
        self._config = config
        self._relay = relay
        self._host = relay.helo or host
        self._context: ssl.SSLContext | None = None

    async def connect(self) -> Link:
        """A link whose transport still has aiosmtplib's protocol: call `set_protocol` on it
        before the loop runs again, so that no byte is lost.

        Raises RelayOutage. Takes at most the deadlines `connect` (TCP and implicit TLS) and
        `greeting` (each reply of the handshake) of the relay.
        """
        secret = ""
        try:
            secret = self._config.relay_password(self._relay) or ""
            return await self._connect(secret)
        except ConfigError as error:
            raise RelayOutage(str(error)) from None
        except aiosmtplib.SMTPResponseException as error:
            raise RelayOutage(self._reason(f"{error.code} {error.message}", secret)) from None
        except TimeoutError as error:
            raise RelayOutage(self._reason(str(error) or "timed out", secret)) from None
        except aiosmtplib.SMTPServerDisconnected:
            raise RelayOutage("the relay closed the connection in the handshake") from None
        except ssl.SSLError as error:
            reason = getattr(error, "verify_message", "") or error.reason or str(error)
            raise RelayOutage(self._reason(f"TLS: {reason}", secret)) from None
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise RelayOutage(self._reason(str(error) or type(error).__name__, secret)) from None

    async def _connect(self, secret: str) -> Link:
        relay = self._relay
        context = None if relay.tls == "none" else await self._tls()
        protocol, below = await self._open(context if relay.tls == "implicit" else None)
        try:
            client = aiosmtplib.SMTP(
                hostname=relay.host,
                port=relay.port,
                local_hostname=self._host,
                timeout=relay.timeouts.greeting,
                tls_context=context,
            )
            rtt = await self._handshake(client, protocol)
            if relay.username is not None:
                await client.login(relay.username, secret)
            return _link(client, below, rtt)
        except BaseException:
            current = protocol.transport
            if current is not None:
                cast(asyncio.Transport, current).abort()
            below.abort()
            raise

    async def _handshake(self, client: aiosmtplib.SMTP, protocol: SMTPProtocol) -> float:
        """From the greeting to the last EHLO; the shortest time that an EHLO took."""
        greeting = await protocol.read_response(timeout=self._relay.timeouts.greeting)
        if greeting.code != 220:
            raise aiosmtplib.SMTPConnectResponseError(greeting.code, greeting.message)
        client.protocol, client.transport = protocol, protocol.transport
        rtt = await _hello(client)
        if self._relay.tls not in ("starttls", "starttls-required"):
            return rtt
        if not client.supports_extension("starttls"):
            if self._relay.tls == "starttls-required":
                raise RelayOutage("the relay does not offer STARTTLS, which tls requires")
            return rtt
        await client.starttls(server_hostname=self._relay.host)
        return min(rtt, await _hello(client))  # what EHLO said before TLS is void (RFC 3207, 4.2)

    async def _open(self, context: ssl.SSLContext | None) -> tuple[SMTPProtocol, asyncio.Transport]:
        """TCP, and TLS on top when a context is given."""
        relay = self._relay
        loop = asyncio.get_running_loop()
        deadline = relay.timeouts.connect
        try:
            async with asyncio.timeout(deadline):
                below, protocol = await loop.create_connection(
                    lambda: SMTPProtocol(loop=loop), relay.host, relay.port
                )
                if context is None:
                    return protocol, below
                try:
                    protocol.transport = await loop.start_tls(
                        below,
                        protocol,
                        context,
                        server_hostname=relay.host,
                        ssl_handshake_timeout=deadline,
                    )
                except BaseException:
                    below.abort()
                    raise
                return protocol, below
        except TimeoutError:
            raise TimeoutError(f"no connection within {deadline:g} s") from None

    async def _tls(self) -> ssl.SSLContext:
        if self._context is None:
            self._context = await asyncio.to_thread(self._build)
        return self._context

    def _build(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH)
        if self._relay.tls_ca_file is not None:
            path = self._config.beside(self._relay.tls_ca_file)
            try:
                context.load_verify_locations(cafile=path)
            except OSError as error:
                raise RelayOutage(f"tls_ca_file {path}: {error.strerror or error}") from None
        if not self._relay.tls_verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def _reason(self, text: str, secret: str) -> str:
        """One line for people, which does not show the secret in any form that AUTH gives it."""
        if secret:
            plain = f"\0{self._relay.username}\0{secret}"
            encoded = [base64.b64encode(form.encode()).decode() for form in (plain, secret)]
            for form in (*encoded, secret):
                text = text.replace(form, "***")
        return printable(" ".join(text.split()).encode())[:MAX_REASON]


def _link(client: aiosmtplib.SMTP, below: asyncio.Transport, rtt: float) -> Link:
    transport = cast("asyncio.Transport | None", client.transport)
    if transport is None or transport.is_closing():
        raise RelayOutage("the relay closed the connection after the handshake")
    return Link(
        transport,
        below,
        Capabilities.from_ehlo(client.esmtp_extensions),
        min(rtt, _kernel_rtt(below)),
    )


def _kernel_rtt(below: asyncio.Transport) -> float:
    """The shortest round trip that TCP has seen, in seconds; infinite where it is not known."""
    if _TCP_INFO is None:
        return math.inf
    info = below.get_extra_info("socket").getsockopt(
        socket.IPPROTO_TCP, _TCP_INFO, MIN_RTT_OFFSET + 4
    )
    if len(info) < MIN_RTT_OFFSET + 4:
        return math.inf
    (microseconds,) = struct.unpack_from("=I", info, MIN_RTT_OFFSET)
    return float(microseconds) / 1e6


async def _hello(client: aiosmtplib.SMTP) -> float:
    """EHLO, else HELO (RFC 5321, 3.2); the seconds it took."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    try:
        await client.ehlo()
    except aiosmtplib.SMTPHeloError as error:
        if error.code // 100 != 5:
            raise
        await client.helo()
    return loop.time() - start
