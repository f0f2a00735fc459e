"""The circuit breaker, with time and chance passed in."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from campaignd.net.health import LONGEST_DELAY_SECONDS, WIDEST_RAMP, Health, State


def test_ramps_up_by_doubling() -> None:
    health = Health()
    widths = []
    for _ in range(8):
        widths.append(health.may_connect(0.0, 0))
        health.connected()
    assert widths == [1, 2, 4, 8, 16, 32, 32, 32]
    assert health.may_connect(0.0, WIDEST_RAMP - 3) == 3
    assert health.may_connect(0.0, WIDEST_RAMP + 3) == 0


def test_backs_off_then_probes_with_one() -> None:
    health = Health()
    assert health.failed(10.0, "refused", 0.0)
    assert (health.state, health.retry_at) == (State.BACKOFF, 10.5)
    assert health.may_connect(10.49, 0) == 0
    assert not health.failed(10.4, "refused again", 0.0)  # the same trouble
    assert (health.retry_at, health.last_error) == (10.5, "refused again")
    assert health.may_connect(10.5, 1) == 0  # an earlier connection is still under way
    assert health.may_connect(10.5, 0) == 1
    assert health.probing
    health.began()
    assert health.may_connect(11.0, 0) == 0
    health.connected()
    assert health.may_connect(11.0, 0) == 0  # connecting proves nothing
    assert health.worked()
    assert (health.state, health.failures) == (State.UP, 0)
    assert health.may_connect(11.0, 0) == 1


def test_a_probe_without_a_finding() -> None:
    health = Health()
    health.failed(0.0, "x", 0.0)
    assert health.may_connect(9.0, 0) == 1
    health.began()
    health.probe_ended()
    assert health.may_connect(9.0, 0) == 1


def test_failed_probes_wait_longer_and_longer() -> None:
    health = Health()
    now = 0.0
    delays = []
    for _ in range(9):
        assert health.failed(now, "x", 0.999_999)
        delays.append(round(health.retry_at - now))
        now = health.retry_at
        assert health.may_connect(now, 0) == 1
        health.began()
    assert delays == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_working_sessions_prove_nothing_new_while_up() -> None:
    health = Health()
    health.connected()
    assert not health.worked()
    assert health.may_connect(0.0, 0) == 2


actions = st.lists(
    st.tuples(
        st.sampled_from(["failed", "worked", "began", "connected", "probe_ended"]),
        st.floats(0, 5),
        st.floats(0, 0.999),
    ),
    max_size=60,
)


@given(actions)
def test_it_never_gets_stuck(steps: list[tuple[str, float, float]]) -> None:
    health = Health()
    now = 0.0
    for step, pause, chance in steps:
        now += pause
        if step == "failed":
            health.failed(now, "x", chance)
        elif step == "began":
            if health.may_connect(now, 0):
                health.began()
        else:
            getattr(health, step)()
        assert 0 <= health.may_connect(now, 0) <= WIDEST_RAMP
        assert health.retry_at <= now + LONGEST_DELAY_SECONDS
    health.probe_ended()
    assert health.may_connect(now + LONGEST_DELAY_SECONDS, 0) >= 1
