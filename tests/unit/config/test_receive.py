"""The section [receive]."""

from __future__ import annotations

import pytest

from campaignd.config import Receive, parse
from campaignd.errors import ConfigError


@pytest.mark.parametrize(
    ("listen", "address"),
    [
        ("127.0.0.1:8024", ("127.0.0.1", 8024)),
        ("[::1]:24", ("::1", 24)),
        (":0", ("", 0)),
        ("/run/campaignd-receive/lmtp", "/run/campaignd-receive/lmtp"),
        ("./lmtp:1", "./lmtp:1"),
    ],
)
def test_where_to_listen(listen: str, address: object) -> None:
    assert Receive(listen=listen).address == address


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ('listen = "lmtp"', r"\[receive\] listen must look like 127.0.0.1:8024, or be a path"),
        ('listen = "a:99999"', r"\[receive\] listen must look like"),
        ('mailboxes = ["a@b"]', "mailboxes"),
        ('mailboxes = [""]', "mailboxes"),
        ('protocol = "http"', "protocol"),
        ("max_octets = 1", "max_octets"),
        ("connections = 0", "connections"),
        ("timeout = 0", "timeout"),
    ],
)
def test_mistakes(line: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        parse(f"[receive]\n{line}\n")
