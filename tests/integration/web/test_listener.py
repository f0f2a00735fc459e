"""The listener against clients that are slow, large or wrong, on real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, Router

from campaignd.errors import UsageError
from campaignd.web import listener
from campaignd.web.body import BodyRefused, read_body
from campaignd.web.listener import Listener

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Work = Callable[[Listener], Coroutine[None, None, None]]

ASK = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
PATIENCE = 20.0


async def home(request: Request) -> Response:
    return PlainTextResponse("home")


async def slow(request: Request) -> Response:
    await asyncio.sleep(0.8)
    return PlainTextResponse("at last")


async def take(request: Request) -> Response:
    try:
        return PlainTextResponse(str(len(await read_body(request, 100_000, seconds=0.3))))
    except BodyRefused as refused:
        return PlainTextResponse("refused", status_code=refused.status)


def serve(work: Work) -> None:
    """Runs `work` against a listener on a free port."""

    async def main() -> None:
        app = Router(
            routes=[Route("/", home), Route("/slow", slow), Route("/", take, methods=["POST"])]
        )
        served = Listener(("127.0.0.1", 0), app)
        async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
            tasks.create_task(served.run())
            await work(served)
            served.stop()

    asyncio.run(main())


async def connect(served: Listener) -> Streams:
    return await asyncio.open_connection("127.0.0.1", served.port)


async def status(reader: asyncio.StreamReader) -> int:
    line = await reader.readline()
    return int(line.split()[1]) if line else 0


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "HEAD_SECONDS", 0.3)


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("start", [b"", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nX: "])
def test_a_head_that_does_not_end(start: bytes) -> None:
    """Octets that trickle in do not put the deadline off."""

    async def work(served: Listener) -> None:
        reader, writer = await connect(served)
        writer.write(start)

        async def trickle() -> None:
            while True:
                await asyncio.sleep(0.05)
                writer.write(b"x" if start else b"")

        dripping = asyncio.create_task(trickle())
        assert await reader.read() == b""
        dripping.cancel()

    serve(work)


@pytest.mark.usefixtures("hurried")
def test_a_second_head_that_does_not_end() -> None:
    async def work(served: Listener) -> None:
        reader, writer = await connect(served)
        for _ in range(3):  # a connection that goes on asking lives longer than the deadline
            writer.write(ASK)
            assert (await reader.readuntil(b"home")).startswith(b"HTTP/1.1 200 ")
            await asyncio.sleep(0.15)
        writer.write(b"GET /")
        assert await reader.read() == b""

    serve(work)


@pytest.mark.usefixtures("hurried")
def test_requests_in_one_write() -> None:
    async def work(served: Listener) -> None:
        reader, writer = await connect(served)
        writer.write(ASK * 5)
        for _ in range(5):
            await reader.readuntil(b"home")

    serve(work)


@pytest.mark.usefixtures("hurried")
def test_an_answer_that_takes_its_time() -> None:
    """The deadline is for asking, not for the answer."""

    async def work(served: Listener) -> None:
        reader, writer = await connect(served)
        writer.write(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        assert await status(reader) == 200

    serve(work)


def test_a_body_that_does_not_end() -> None:
    async def work(served: Listener) -> None:
        reader, writer = await connect(served)
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\nab")
        assert await status(reader) == 408

    serve(work)


@pytest.mark.usefixtures("hurried")
def test_a_body_that_nobody_reads() -> None:
    """What comes after an answer is thrown away, and not for ever."""

    async def work(served: Listener) -> None:
        reader, writer = await connect(served)
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n\r\n")
        assert await status(reader) == 413
        with pytest.raises(ConnectionError):
            while True:
                writer.write(b"x" * 1_000)
                await writer.drain()
                await asyncio.sleep(0.01)

    serve(work)


def test_a_head_that_is_too_large() -> None:
    async def work(served: Listener) -> None:
        reader, writer = await connect(served)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nCookie: " + b"x" * 100_000)
        assert await status(reader) == 400

    serve(work)


@pytest.mark.parametrize(
    "garbage", [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n", b"HELO x\r\n\r\n"]
)
def test_what_is_no_http(garbage: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    async def work(served: Listener) -> None:
        reader, writer = await connect(served)
        writer.write(garbage)
        assert await status(reader) == 400

    serve(work)
    assert capfd.readouterr().err == ""  # any client could fill the log


def test_more_connections_than_there_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "CONNECTIONS", 10)

    async def work(served: Listener) -> None:
        idle = [await connect(served) for _ in range(10)]
        reader, writer = await connect(served)
        writer.write(ASK)
        assert await status(reader) == 503
        for _, other in idle:
            other.close()
        while True:
            reader, writer = await connect(served)
            writer.write(ASK)
            if await status(reader) == 200:
                break
            await asyncio.sleep(0.02)

    serve(work)


def test_idle_connections_do_not_hold_up_the_end() -> None:
    async def work(served: Listener) -> None:
        await connect(served)
        _, writer = await connect(served)
        writer.write(b"GET")

    loop_time = 0.0

    async def timed() -> None:
        nonlocal loop_time
        served = Listener(("127.0.0.1", 0), Router(routes=[Route("/", home)]))
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(served.run())
            await work(served)
            before = asyncio.get_running_loop().time()
            served.stop()
            await running
            loop_time = asyncio.get_running_loop().time() - before

    asyncio.run(timed())
    assert loop_time < listener.DRAIN_SECONDS / 2


def test_a_port_that_is_taken() -> None:
    async def work(served: Listener) -> None:
        with pytest.raises(UsageError, match=r"\[web\] listen 127\.0\.0\.1:\d+: Address already"):
            Listener(("127.0.0.1", served.port), Router())

    serve(work)
