"""The proxy makes the weather that it is told to make."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from campaignd.sandbox.supervisor import unused_port
from tests.faults.proxy import Proxy
from tests.faults.wire import Direction

SILENCE = 0.2
"""Seconds without an octet that count as silence."""


@pytest.fixture
def wire() -> Iterator[Proxy]:
    """A proxy before a server that echoes."""
    port = unused_port()
    with socket.create_server(("127.0.0.1", port)) as server:
        threading.Thread(target=_echo, args=(server,), daemon=True).start()
        with Proxy(port) as proxy:
            yield proxy


def _echo(server: socket.socket) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        threading.Thread(target=_echo_one, args=(connection,), daemon=True).start()


def _echo_one(connection: socket.socket) -> None:
    with connection:
        try:
            while data := connection.recv(65_536):
                connection.sendall(data)
        except OSError:
            return


def connect(wire: Proxy) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", wire.port))
    client.settimeout(5)
    return client


def receive(client: socket.socket, octets: int) -> bytes:
    got = b""
    while len(got) < octets and (data := client.recv(octets - len(got))):
        got += data
    return got


def say(client: socket.socket, data: bytes = b"hello") -> bytes:
    client.sendall(data)
    return receive(client, len(data))


def silent(client: socket.socket) -> bool:
    client.settimeout(SILENCE)
    try:
        return client.recv(1) is None
    except TimeoutError:
        return True
    finally:
        client.settimeout(5)


def ended(client: socket.socket) -> bool:
    try:
        return client.recv(100) == b""
    except ConnectionResetError:
        return True


def test_clear_weather(wire: Proxy) -> None:
    with connect(wire) as client:
        big = bytes(range(256)) * 4_000
        threading.Thread(target=client.sendall, args=(big,), daemon=True).start()
        assert receive(client, len(big)) == big


def test_cut_and_refuse(wire: Proxy) -> None:
    with connect(wire) as client:
        say(client)
        assert wire.cut() == 1
        assert ended(client)
    with connect(wire) as client:
        say(client)
        wire.refuse()
        assert ended(client)
        with pytest.raises(ConnectionRefusedError):
            connect(wire)
    wire.heal()
    with connect(wire) as client:
        assert say(client) == b"hello"


@pytest.mark.parametrize("direction", list(Direction))
def test_blackhole_holds_back_and_loses_nothing(wire: Proxy, direction: Direction) -> None:
    with connect(wire) as client:
        say(client)
        wire.blackhole(direction)
        client.sendall(b"hello")
        assert silent(client)
        wire.heal()
        assert receive(client, 5) == b"hello"


def test_blackhole_takes_new_connections(wire: Proxy) -> None:
    wire.blackhole()
    with connect(wire) as client:
        client.sendall(b"hello")
        assert silent(client)
        wire.heal()
        assert receive(client, 5) == b"hello"


def test_delay_and_throttle(wire: Proxy) -> None:
    with connect(wire) as client:
        say(client)
        wire.delay(0.2)
        started = time.monotonic()
        assert say(client) == b"hello"
        assert time.monotonic() - started >= 0.4
        wire.heal()
        wire.throttle(10_000, Direction.UP)
        started = time.monotonic()
        assert say(client, b"x" * 4_000) == b"x" * 4_000
        assert time.monotonic() - started >= 0.4


@pytest.mark.parametrize("octets", [0, 1, 7, 10])
def test_cut_after(wire: Proxy, octets: int) -> None:
    wire.cut_after(octets, Direction.DOWN)
    with connect(wire) as client:
        client.sendall(b"0123456789")
        got = b""
        while data := client.recv(100):
            got += data
        assert got == b"0123456789"[:octets]


@pytest.mark.parametrize("cut", [True, False])
def test_drop_answer(wire: Proxy, cut: bool) -> None:
    trap = wire.drop_answer(b"COMMIT", cut=cut)
    with connect(wire) as client:
        assert say(client) == b"hello"
        client.sendall(b"a COMMIT")
        assert ended(client) if cut else silent(client)
        assert trap.sprung == 1
    with connect(wire) as client:  # it was for one time
        assert say(client, b"a COMMIT") == b"a COMMIT"


def test_slam_counts(wire: Proxy) -> None:
    wire.slam()
    for _ in range(3):
        with connect(wire) as client:
            assert ended(client)
    assert wire.connections == 3
    assert wire.open == 0
