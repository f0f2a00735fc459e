"""A receiver on a real socket with a store that a test scripts, and a client that says anything."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self

from campaignd.feedback import Feedback, Taken
from campaignd.receive.receiver import Receiver
from campaignd.receive.session import LmtpSession, Session
from tests.unit.receive.messages import DOMAIN, boxes

PATIENCE = 10.0


class Store:
    """Remembers what was taken; `answers` are given in turn, then RECORDED."""

    def __init__(self, *answers: Taken | Exception) -> None:
        self.taken: list[Feedback] = []
        self.asked = 0
        self.answers = list(answers)
        self.gate = asyncio.Event()
        self.gate.set()

    async def take(self, feedback: Feedback) -> Taken:
        self.asked += 1
        await self.gate.wait()
        answer = self.answers.pop(0) if self.answers else Taken.RECORDED
        if isinstance(answer, Exception):
            raise answer
        self.taken.append(feedback)
        return answer


class Client:
    """Writes what it is told, and reads replies."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def connect(cls, port: int) -> Self:
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def reply(self) -> str:
        """The next reply, lines joined; empty at the end of the connection."""
        lines = []
        async with asyncio.timeout(PATIENCE):
            while line := (await self.reader.readline()).decode().rstrip("\r\n"):
                lines.append(line)
                if line[3:4] != "-":
                    break
        return "\n".join(lines)

    async def say(self, line: str | bytes) -> str:
        self.write((line.encode() if isinstance(line, str) else line) + b"\r\n")
        return await self.reply()

    def write(self, data: bytes) -> None:
        self.writer.write(data)

    async def greet(self, hello: str = "LHLO client.example") -> str:
        assert (await self.reply()).startswith("220 ")
        return await self.say(hello)

    async def deliver(self, data: bytes, *recipients: str, sender: str = "") -> list[str]:
        """All replies from MAIL on: to the final dot, one for each recipient."""
        assert (await self.say(f"MAIL FROM:<{sender}>")).startswith("250 ")
        taken = [await self.say(f"RCPT TO:<{address}>") for address in recipients]
        accepted = [reply for reply in taken if reply.startswith("250 ")]
        assert len(accepted) == len(recipients), taken
        assert (await self.say("DATA")).startswith("354 ")
        self.write(stuffed(data))
        return [await self.reply() for _ in accepted]

    def close(self) -> None:
        self.writer.close()


def stuffed(data: bytes) -> bytes:
    """A message as it goes over the wire (RFC 5321, 4.5.2), with its final dot."""
    lines = data.split(b"\r\n")
    text = b"\r\n".join(b"." + line if line.startswith(b".") else line for line in lines)
    return text + (b"" if text.endswith(b"\r\n") or not text else b"\r\n") + b".\r\n"


class Line:
    """`client` may be called several times."""

    def __init__(self, port: int, receiver: Receiver) -> None:
        self.port, self.receiver = port, receiver

    async def client(self, hello: str = "LHLO client.example") -> Client:
        client = await Client.connect(self.port)
        await client.greet(hello)
        return client


@asynccontextmanager
async def line(
    store: Store,
    *,
    kind: type[Session] = LmtpSession,
    connections: int = 10,
    max_octets: int = 100_000,
    timeout: float = PATIENCE,
) -> AsyncIterator[Line]:
    logging.getLogger("mail.log").disabled = True
    loop = asyncio.get_running_loop()
    receiver = Receiver(boxes, store.take, connections=connections)
    server = await loop.create_server(
        lambda: kind(
            receiver,
            data_size_limit=max_octets,
            enable_SMTPUTF8=True,
            hostname=DOMAIN,
            timeout=timeout,
            loop=loop,
        ),
        "127.0.0.1",
        0,
    )
    try:
        yield Line(server.sockets[0].getsockname()[1], receiver)
    finally:
        server.close()
        for session in list(receiver.sessions):
            session.abort()
