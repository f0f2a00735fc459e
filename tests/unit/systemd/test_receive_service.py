"""The unit of `campaignd receive`: as tight as the daemon's, and in step with what it starts."""

from __future__ import annotations

from pathlib import Path

from campaignd.receive import service
from tests.unit.systemd import test_service as daemons

UNIT = daemons.UNIT.with_name("campaignd-receive.service")


def test_systemd_accepts_every_line(tmp_path: Path) -> None:
    daemons.verify_unit(UNIT, tmp_path)


def test_the_sandbox_is_the_daemons() -> None:
    daemons.same_sandbox(UNIT)


def test_what_it_starts() -> None:
    assert daemons.started_http(UNIT) == (
        "127.0.0.1",
        9472,
    )  # beside nine daemons and `web`


def test_stop_leaves_time_for_a_message_under_way() -> None:
    settings = daemons.entries(UNIT.read_text())
    [seconds] = settings["TimeoutStopSec"]
    assert int(seconds) > service.DRAIN_SECONDS
    assert settings["KillMode"] == ["mixed"]
