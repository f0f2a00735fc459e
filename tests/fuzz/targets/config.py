"""Configuration files: whatever they hold, they are used or refused with one line."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

from campaignd.config import Config, parse
from campaignd.errors import ConfigError
from tests.fuzz import nasty
from tests.fuzz.choices import Choices

_KEYS = [
    "url",
    "password_file",
    "name",
    "max_shards",
    "drain_timeout",
    "ttl",
    "host",
    "port",
    "tls",
    "tls_ca_file",
    "tls_verify",
    "username",
    "connections",
    "weight",
    "messages_per_connection",
    "seconds_per_connection",
    "messages_per_second",
    "pipelining",
    "helo",
    "timeouts.mail",
    "timeouts.connect",
    "listen",
    "path",
]
_TABLES = ("[mysql]", "[redis]", "[daemon]", "[lease]", "[[relay]]", "[limits]", "[http]", "[x]")
_VALUES = (
    "0",
    "1",
    "-1",
    "1.5",
    "nan",
    "inf",
    "true",
    "1979-05-27T07:32:00Z",
    "07:32:00",
    "[]",
    "{}",
    "[[1]]",
    "9" * 30,
    "9" * 5_000,
    "[" * 2_000,
    '"starttls"',
    '"none"',
    '"x"',
    '"../x"',
    '"~nobody-of-this-name/x"',
    '"$HOME/x"',
    '"\\u0000"',
    '"a\\nb"',
    '"mysql://u:p@[::1]:3306/d"',
    '"mysql://u@/d?unix_socket=/s"',
    '"mysql://[::1/d"',
    '"mysql://h:99999/d"',
    '"mysql://h:٣/d"',
    '"mysql://h℀/d"',
    '"redis://:p@h:6379/0"',
    '"redis://h:99999/0"',
    '"redis://[/0"',
    '"unix:///s"',
    '"127.0.0.1:9464"',
    '":99999"',
    '"[::1]:1"',
)


def run(data: bytes) -> None:
    choices = Choices(data)
    raw = choices.flag()
    text = choices.rest().decode("utf-8", "replace") if raw else _document(choices)
    try:
        config = parse(text, "config.toml")
    except ConfigError as error:
        _check_line(error)
        return
    config.path = Path("/nonexistent/config.toml")
    _use(config)


def _document(choices: Choices) -> str:
    lines = []
    while choices.more():
        turn = choices.number(0, 9)
        if turn < 3:
            lines.append(choices.pick(_TABLES))
            if lines[-1] == "[[relay]]" and choices.flag():
                lines.append(f'name = "r{len(lines)}"\nhost = "h"')
        elif turn < 9:
            lines.append(f"{choices.pick(_KEYS)} = {choices.pick(_VALUES)}")
        else:
            lines.append(nasty.text(choices, 3))
    return "\n".join(lines)


def _use(config: Config) -> None:
    """What is read from it later: a good value, or a mistake told in one line."""
    uses: list[Callable[[], object]] = [config.mysql_target, config.redis_target]
    uses += [partial(config.relay_password, relay) for relay in config.relay]
    for use in uses:
        try:
            use()
        except ConfigError as error:
            _check_line(error)
    address = config.http.address
    assert address is None or 0 <= address[1] <= 65_535
    for relay in config.relay:
        assert not re.search(r"[\s\x00]", relay.host)
        assert relay.timeouts.mail > 0
    assert 1 <= config.lease.ttl <= 600


def _check_line(error: ConfigError) -> None:
    assert str(error)
    assert len(str(error).splitlines()) == 1, str(error)
