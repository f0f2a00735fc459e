"""JSON from anywhere."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaignd.web.webhooks import payload
from campaignd.web.webhooks.notice import Refused


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff", b"NaN", b"[" * 100_000, b'{"a":' * 100_000, b'{"a":1}x']
)
def test_what_is_no_json(body: bytes) -> None:
    with pytest.raises(Refused) as caught:
        payload.parse(body)
    assert (caught.value.reason, caught.value.status) == ("malformed", 400)


def test_text_is_cut_and_other_types_are_absent() -> None:
    fields = {"a": "x" * 5_000, "b": 1, "c": None, "d": ["x"]}
    assert len(payload.text(fields, "a")) == payload.MAX_TEXT
    assert [payload.text(fields, name) for name in "bcde"] == [""] * 4
    assert list(payload.rows([1, {"a": 1}, None])) == [{"a": 1}]
    assert list(payload.rows("no list")) == []


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("2016-01-27T14:59:38.237Z", 1453906778.237),
        ("2016-04-27T16:28:50.3963933-04:00", 1461788930.396393),  # seven digits, of Postmark
        ("2016-01-27T14:59:38", 1453906778.0),
        (1461095250, 1461095250.0),
        (1534110422.389832, 1534110422.389832),
    ],
)
def test_times(value: object, seconds: float) -> None:
    assert payload.seconds(value, 5.0) == pytest.approx(seconds)


@pytest.mark.parametrize("value", ["", "yesterday", None, [], -1, 0, "9" * 5_000, {"a": 1}])
def test_what_is_no_time_is_now(value: object) -> None:
    assert payload.seconds(value, 5.0) == 5.0


@pytest.mark.parametrize(
    ("texts", "code"),
    [
        (["5.1.1"], "5.1.1"),
        (["", "smtp; 550 5.1.1 <a@b>... User"], "5.1.1"),
        (["550 5.7.26 unauthenticated"], "5.7.26"),
        (["from 192.5.1.1 at 5.1.1.9"], ""),
        (["nothing"], ""),
    ],
)
def test_enhanced_codes(texts: list[str], code: str) -> None:
    assert payload.enhanced_in(*texts) == code


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(JSON, st.text())
def test_whatever_it_holds(value: object, name: str) -> None:
    try:
        parsed = payload.parse(json.dumps(value))
    except Refused:  # a number of more than 64 bits
        return
    fields = payload.table(parsed)
    assert isinstance(payload.text(fields, name), str)
    assert all(isinstance(row, dict) for row in payload.rows(parsed))
    assert payload.seconds(parsed, 1.0) >= 0 or isinstance(parsed, str)
