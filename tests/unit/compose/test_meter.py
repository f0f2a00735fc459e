from __future__ import annotations

import pytest

from campaignd.compose.meter import UNITS, Meter, Overrun


def test_output_is_in_order() -> None:
    meter = Meter()
    meter.emit("a")
    meter.emit("b")
    assert meter.output() == "ab"


def test_units_run_out() -> None:
    meter = Meter()
    meter.spend(UNITS)
    with pytest.raises(Overrun):
        meter.spend(1)


@pytest.mark.parametrize("text", ["x" * UNITS, ["x"] * UNITS])
def test_what_is_taken_given_looped_over_and_emitted_is_charged(text: str | list[str]) -> None:
    with pytest.raises(Overrun):
        Meter().apply(len, text)
    with pytest.raises(Overrun):
        Meter().apply(lambda: text + text)  # type: ignore[operator]
    meter = Meter()
    meter.items(text)
    with pytest.raises(Overrun):
        meter.spend(1)
    with pytest.raises(Overrun):
        Meter().emit("".join(text))


@pytest.mark.parametrize("value", [None, 3, True, {"a": 1}, iter("x"), (1, 2)])
def test_only_lists_and_texts_are_looped_over(value: object) -> None:
    with pytest.raises(TypeError, match="cannot loop over"):
        Meter().items(value)
