"""A daemon is killed, frozen, told to stop, or short of something."""

from __future__ import annotations

import resource
import signal
import time
from pathlib import Path

import pytest

from campaignd.model import UnknownPolicy
from campaignd.sandbox.box import Sandbox
from tests.faults.host import Host
from tests.faults.scenario import Pair, running
from tests.faults.stage import TTL, Stage

MOST_AMBIGUOUS = 1_000
"""Recipients that one killed daemon may leave ambiguous."""

UNCLEAN = 3
"""Exit status of a daemon that could not give everything back."""


def ambiguous(host: Host) -> int:
    """Attempts of others that this host settled as unknown."""
    return sum(event.fields["count"] for event in host.events("ambiguous-resolved"))


def end_of(host: Host) -> int:
    """The exit status."""
    assert host._child is not None
    status = host._child.wait(30)
    assert status is not None, "the daemon does not end"
    return status


@pytest.mark.parametrize("policy", list(UnknownPolicy))
def test_killed_at_full_rate(box: Sandbox, policy: UnknownPolicy) -> None:
    with Stage(box, hosts=2) as stage:
        campaign = stage.campaign(6_000, unknown=policy, shard_size=500)
        stage.start()
        stage.wait_sent(1_000)
        first = stage.busiest()
        first.kill()
        second = stage.other(first)
        stage.wait(lambda: not stage.held_by(first), "its shards are taken", TTL + 5)
        stage.wait_finished(campaign)
        verdict = stage.judge(campaign)
        assert not verdict.problems(keep=policy is UnknownPolicy.KEEP), stage.describe()
        assert ambiguous(second) <= MOST_AMBIGUOUS
        # The other direction: had nothing been ambiguous, this test would show nothing.
        assert ambiguous(second) > 0
        key = "maybe" if policy is UnknownPolicy.RESEND else "unknown"
        counted = verdict.maybe_duplicates if key == "maybe" else verdict.outcomes["unknown"]
        assert counted > 0


def test_killed_again_and_again(box: Sandbox) -> None:
    """At no particular moment, and also while it starts and takes over from itself."""
    with running(box, rate=400) as pair:
        host = pair.stage.host
        for pause in (0.0, 0.15, 0.4, 0.7, 1.1):
            host.kill()
            host.launch()
            time.sleep(pause)
        host.kill()
        host.start()
        pair.judge()


def test_killed_in_drain(box: Sandbox) -> None:
    with running(box, hosts=2) as pair:
        first = pair.stage.host
        first.relay.delay(0.3)
        first.tell(signal.SIGTERM)
        pair.stage.wait(lambda: first.events("draining"), "draining")
        first.kill()
        pair.judge()


def test_frozen_beyond_its_leases(box: Sandbox) -> None:
    """It comes back believing that it holds them."""
    with running(box, hosts=2, recipients=700, rate=120) as pair:
        stage = pair.stage
        freeze_until_replaced(stage, stage.busiest())
        result = pair.judge()
        assert result.resend.maybe_duplicates or result.keep.outcomes["unknown"]


def freeze_until_replaced(stage: Stage, frozen: Host) -> None:
    other = stage.other(frozen)
    settled = ambiguous(other)
    frozen.freeze()
    stage.wait(lambda: ambiguous(other) > settled, "what it held is settled")
    frozen.thaw()


def test_frozen_in_a_transaction(box: Sandbox) -> None:
    """Its locks in MySQL must not keep others from its shards."""
    with running(box, hosts=2, rate=300) as pair:
        stage = pair.stage
        frozen = stage.busiest()
        trap = frozen.mysql.drop_answer(b"INSERT INTO ledger", cut=False)
        stage.wait(lambda: trap.sprung, "it holds locks")
        frozen.freeze()
        started = time.monotonic()
        other = stage.other(frozen)
        stage.wait(lambda: other.events("shard-taken"), "a takeover")
        stage.wait(lambda: not stage.held_by(frozen), "all its shards are taken")
        assert time.monotonic() - started < 4 * TTL
        frozen.kill()
        pair.judge()


def test_sigterm_leaves_nothing_ambiguous(box: Sandbox) -> None:
    with running(box, hosts=2) as pair:
        first, second = pair.stage.hosts
        first.tell(signal.SIGTERM)
        assert end_of(first) == 0
        result = pair.judge()
        assert ambiguous(second) == 0
        assert result.resend.maybe_duplicates == 0
        assert result.keep.outcomes == {"accepted": result.keep.recipients}


def test_sigterm_twice_stops_at_once(box: Sandbox) -> None:
    with running(box, hosts=2) as pair:
        first = _silent(pair)  # so that a drain would take its time
        first.tell(signal.SIGTERM)
        pair.stage.wait(lambda: first.events("draining"), "draining")
        first.tell(signal.SIGTERM)
        started = time.monotonic()
        assert end_of(first) == UNCLEAN
        assert time.monotonic() - started < 3
        pair.judge()


def test_drain_timeout_gives_up_what_is_in_flight(box: Sandbox) -> None:
    with running(box, hosts=2, drain_timeout=1.0) as pair:
        first = _silent(pair)
        first.tell(signal.SIGTERM)
        assert end_of(first) == 0
        assert first.events("drain-timeout")
        pair.judge()


def _silent(pair: Pair) -> Host:
    """A daemon that has messages in flight to a relay that has gone silent."""
    host = pair.stage.busiest()
    host.relay.blackhole()
    pair.stage.wait(lambda: host.metrics()["campaignd_in_flight"] > 0, "a stuck message")
    return host


def test_out_of_file_descriptors(box: Sandbox) -> None:
    with running(box, after=100) as pair:
        host = pair.stage.host
        _, hard = resource.prlimit(host.pid, resource.RLIMIT_NOFILE)
        in_use = len(list(Path(f"/proc/{host.pid}/fd").iterdir()))
        left = in_use - sum(wire.open for wire in host.wires) + 2
        resource.prlimit(host.pid, resource.RLIMIT_NOFILE, (left, hard))
        for wire in host.wires:
            wire.cut()
        pair.stage.wait(lambda: _troubles(pair), "it says what is wrong")
        resource.prlimit(host.pid, resource.RLIMIT_NOFILE, (hard, hard))
        pair.judge()


def _troubles(pair: Pair) -> bool:
    names = ("mysql-trouble", "redis-trouble", "relay-trouble")
    errors = [str(e.fields["error"]) for name in names for e in pair.stage.host.events(name)]
    return any("Too many open files" in error or "Error 24" in error for error in errors)


def test_disk_full_for_logs(box: Sandbox) -> None:
    with Stage(box) as stage:
        pair = Pair(stage, 500)
        stage.host.log = Path("/dev/full")
        stage.host.launch()
        stage.wait_sent(200)
        for wire in stage.host.wires:
            wire.cut()  # something to write about
        stage.wait_finished(*pair.ids)
        assert stage.host.running
        pair.judge()
