from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaignd.compose.columns import Columns
from campaignd.compose.row import Row, RowReader
from campaignd.compose.values import MAX_ROW_CHARACTERS, clean_text, clean_value
from campaignd.errors import RowError

SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text())


def reader(*used: str, columns: tuple[str, ...] = ("a", "b", "c")) -> RowReader:
    known = Columns(columns)
    for name in used:
        known.slot(name)
    return RowReader(known)


def test_a_row_is_the_address_and_what_is_used_in_the_order_of_use() -> None:
    assert reader("c", "email", "a").read(("x@y.z",), ["1", "2", "3"]).values == ("x@y.z", "3", "1")
    assert reader("b").read(("x@y.z",), ["1", "2", "3"]).values == ("x@y.z", "2")
    assert reader().read(("x@y.z",), []).values == ("x@y.z",)


def test_a_column_called_email_is_the_address() -> None:
    assert reader("email", columns=("email", "a")).read(("x@y.z",), ["?", "1"]).values == ("x@y.z",)


def test_what_is_not_there_is_none() -> None:
    assert reader("a", "c").read(("x@y.z",), ["1"]).values == ("x@y.z", "1", None)
    assert reader("a", "c").read(("x@y.z",), [None, "2", "3"]).values == ("x@y.z", None, "3")


@given(values=st.lists(SCALARS, min_size=3, max_size=3))
def test_a_row_is_known_for_what_it_has(values: list[object]) -> None:
    row = reader("a", "b", "c").read(("x@y.z",), values)
    assert row.values == ("x@y.z", *(clean_value(value, "?") for value in values))
    texts = [value for value in row.values if isinstance(value, str)]
    assert row.has_breaks == any("\n" in text for text in texts)
    assert row.has_specials == any(set(text) & set("&<>'\"") for text in texts)
    assert not any("\0" in text or "\r" in text for text in texts)


def test_a_special_in_the_address_counts() -> None:
    assert reader().read(("o'neill@y.z",), []) == Row(("o'neill@y.z",), False, True)


@pytest.mark.parametrize("value", [[], {}, b"x", object()])
def test_only_scalars_are_values(value: object) -> None:
    with pytest.raises(RowError, match=r"merge field b is a \w+, not a text or a number"):
        reader("b").read(("x@y.z",), ["1", value])
    assert reader("a").read(("x@y.z",), ["1", value]).values == ("x@y.z", "1")


@pytest.mark.parametrize("extra", ["", "\n"])
def test_a_row_is_bounded(extra: str) -> None:
    most = MAX_ROW_CHARACTERS - len("x@y.z ") - len(extra)
    reader("a").read(("x@y.z",), ["x" * most + extra])
    with pytest.raises(RowError, match="more than 100000 characters"):
        reader("a").read(("x@y.z",), ["x" * (most + 1) + extra])


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("a\r\nb\rc\nd\x0be\x0cf\x85g\u2028h\u2029i", "a\nb\nc\nd\ne\nf\ng\nh\ni"),
        ("a\0\x01\x1b\x7f\x80\x9fb", "ab"),
        ("tab\t stays", "tab\t stays"),
        ("\ud800x\udfff", "\ufffdx\ufffd"),
        ("👍🏽 \u200f\u202eשלום\u200d", "👍🏽 \u200f\u202eשלום\u200d"),
    ],
)
def test_clean_text(text: str, clean: str) -> None:
    assert clean_text(text) == clean
