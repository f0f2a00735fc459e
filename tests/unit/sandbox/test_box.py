"""The configuration that a sandbox writes is the one it was given."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from campaignd.config import Config, Daemon, Http, Lease, Limits, Relay, Timeouts, parse
from campaignd.sandbox.box import to_toml

SECONDS = st.floats(1, 600)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
HOSTS = st.text(st.characters(min_codepoint=0x21, exclude_categories=["Cs", "Z", "C"]), min_size=1)
RELAYS = st.builds(
    Relay,
    name=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}", fullmatch=True),
    host=HOSTS,
    port=st.integers(1, 65_535),
    tls=st.sampled_from(["none", "starttls", "starttls-required", "implicit"]),
    tls_ca_file=st.none() | TEXT,
    pipelining=st.booleans(),
    messages_per_second=st.none() | SECONDS,
    helo=st.none() | HOSTS,
    timeouts=st.builds(Timeouts, connect=SECONDS, final_dot=SECONDS),
)


@given(
    st.lists(RELAYS, max_size=3, unique_by=lambda relay: relay.name),
    st.builds(Lease, ttl=SECONDS),
    st.builds(Limits, messages_per_second=st.none() | SECONDS),
    st.builds(Daemon, drain_timeout=SECONDS),
)
def test_toml_reads_back_equal(
    relays: list[Relay], lease: Lease, limits: Limits, daemon: Daemon
) -> None:
    config = Config(relay=relays, lease=lease, limits=limits, daemon=daemon, http=Http(listen=""))
    assert parse(to_toml(config)) == config
