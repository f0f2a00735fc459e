"""Redis is killed, emptied, frozen, cut off or slow: that costs time, never a message."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import redis

from campaignd.sandbox.box import Sandbox
from tests.faults.scenario import running, survives
from tests.faults.stage import TTL, Stage


def client(stage: Stage) -> redis.Redis:
    return redis.Redis.from_url(stage.box.redis.url)


def idle(stage: Stage) -> bool:
    """Whether no host holds a shard any more, says MySQL."""
    return not any(stage.held_by(host) for host in stage.hosts)


def kill_and_restart_empty(stage: Stage) -> None:
    stage.box.redis.kill()
    stage.box.redis.start()


def flush(stage: Stage) -> None:
    client(stage).flushall()


def kill_for_longer_than_a_lease(stage: Stage) -> None:
    stage.box.redis.kill()
    stage.wait(lambda: idle(stage), "all shards are given back")
    stage.box.redis.start()


def freeze_for_longer_than_a_lease(stage: Stage) -> None:
    stage.box.redis.freeze()
    stage.wait(lambda: idle(stage), "all shards are given back")
    stage.box.redis.thaw()


def slow(stage: Stage) -> None:
    for host in stage.hosts:
        host.redis.delay(0.15)


@pytest.mark.parametrize(
    "fault",
    [
        kill_and_restart_empty,
        flush,
        kill_for_longer_than_a_lease,
        freeze_for_longer_than_a_lease,
        slow,
    ],
    ids=lambda fault: fault.__name__,
)
def test_redis(box: Sandbox, fault: Callable[[Stage], None]) -> None:
    survives(box, fault, hosts=2)


def test_leases_that_end_in_order_leave_nothing_ambiguous(box: Sandbox) -> None:
    """A daemon that stops at its deadlines gives its shards back cleanly, through MySQL."""
    result = survives(box, kill_for_longer_than_a_lease)
    assert result.resend.maybe_duplicates == 0
    assert result.keep.outcomes == {"accepted": result.keep.recipients}


def test_cut_off_from_one_host(box: Sandbox) -> None:
    with running(box, hosts=2, rate=500) as pair:
        stage = pair.stage
        lonely = stage.busiest()
        lonely.redis.refuse()
        stage.wait(lambda: not stage.held_by(lonely), "it stops at its deadlines", 3 * TTL + 5)
        pair.judge()


def test_no_final_dot_after_the_deadline(box: Sandbox) -> None:
    """R3, as the receiver sees it: one lease after Redis is gone nothing arrives any more."""
    with running(box, rate=500) as pair:
        stage = pair.stage
        stage.host.redis.blackhole()
        started = _last(stage)
        stage.wait(lambda: not stage.held_by(stage.host), "it gives its shards back")
        assert _last(stage) - started < TTL + 0.5
        stage.host.redis.heal()
        pair.judge()


def _last(stage: Stage) -> float:
    """When the last message so far arrived."""
    return max(accepted.at for accepted in stage.taken())
