from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from campaignd.compose.functions import (
    CAN_MAKE_CONTROLS,
    DERIVED_FILTERS,
    HTML_FILTERS,
    MAX_RANGE,
    METHODS,
    OPERATORS,
    TESTS,
    TEXT_FILTERS,
)
from campaignd.compose.meter import MAX_OUTPUT_CHARACTERS, Overrun

HALF = "x" * (MAX_OUTPUT_CHARACTERS // 2)


@pytest.mark.parametrize(
    ("function", "args"),
    [
        (TEXT_FILTERS["replace"], ("a" * 1_000, "a", "b" * 10_000)),
        (TEXT_FILTERS["replace"], ("a" * 1_000, "", "b" * 10_000)),
        (HTML_FILTERS["replace"], ("a" * 1_000, "a", '"' * 500)),
        (TEXT_FILTERS["join"], (["a"] * 1_000, "b" * 10_000)),
        (TEXT_FILTERS["join"], ("a" * 1_000, "b" * 10_000)),
        (TEXT_FILTERS["format"], ("%s" * 3, HALF, HALF, HALF)),
        (OPERATORS["add"], (HALF, HALF)),
        (OPERATORS["concat"], (HALF, HALF)),
        (OPERATORS["concat_html"], (HALF, HALF)),
        (OPERATORS["range"], (MAX_RANGE + 1,)),
        (OPERATORS["range"], (0, 10**30)),
        (OPERATORS["mul"], (2**40, 2**40)),
        (OPERATORS["add"], (2**63 - 1, 1)),
        (OPERATORS["sub"], (-(2**63) + 1, 1)),
        (TEXT_FILTERS["int"], ("f" * 50_000, 0, 16)),
        (TEXT_FILTERS["sum"], ([2**62, 2**62],)),
    ],
)
def test_what_would_be_too_much_is_not_even_made(
    function: Callable[..., Any], args: tuple[Any, ...]
) -> None:
    with pytest.raises(Overrun):
        function(*args)


@pytest.mark.parametrize(
    ("function", "args", "error"),
    [
        (OPERATORS["mul"], ("a", 3), "needs two numbers, not a text and a number"),
        (OPERATORS["mul"], ([1], 3), "needs two numbers, not a list and a number"),
        (OPERATORS["mod"], ("%9999999d", 3), "needs two numbers"),
        (TESTS["odd"], ("%9999999d",), "needs two numbers"),
        (TESTS["divisibleby"], ("%9999999d", 3), "needs two numbers"),
        (OPERATORS["add"], ([1], [2]), "needs two numbers, not a list and a list"),
        (OPERATORS["add"], ("a", None), "needs two numbers, not a text and nothing"),
        (OPERATORS["list"], (1, [2]), "a list cannot hold lists"),
        (OPERATORS["contains"], (1, "123"), "a number cannot be in a text"),
        (OPERATORS["item"], (7, 0), "a number has no item '0'"),
        (OPERATORS["item"], ("abc", "upper"), "a text has no item 'upper'"),
        (OPERATORS["cut"], (True, 0, 1, 1), "a truth value has no slices"),
        (METHODS["upper"], (7,), r"upper\(\) needs a text, not a number"),
    ],
)
def test_types_that_do_not_fit(
    function: Callable[..., Any], args: tuple[Any, ...], error: str
) -> None:
    with pytest.raises(TypeError, match=error):
        function(*args)


@pytest.mark.parametrize(
    "text", ["%999d", "%*d", "%(a)s", "%.999f", "%c", "%r", "%a", "%", "%5", "% 100d", "%-100s"]
)
def test_format_has_no_width_to_speak_of(text: str) -> None:
    with pytest.raises(ValueError, match="format knows"):
        TEXT_FILTERS["format"](text, 1)


def test_format_formats() -> None:
    assert TEXT_FILTERS["format"]("%s: %5.2f %d%% %-3s|%+d", "a", 1.239, 4, "b", 5) == (
        "a:  1.24 4% b  |+5"
    )


@pytest.mark.parametrize("precision", [16, -16, 10**9])
def test_round_has_no_digits_to_speak_of(precision: int) -> None:
    with pytest.raises(ValueError, match="round has at most 15 digits"):
        TEXT_FILTERS["round"](1, precision, "ceil")


@pytest.mark.parametrize("length", [2, -1])
def test_truncate_has_room_for_its_end(length: int) -> None:
    with pytest.raises(ValueError, match="truncate needs a length of at least 3"):
        TEXT_FILTERS["truncate"]("abcdefghijkl", length)


def test_all_that_can_be_called_is_listed_here() -> None:
    """A new one needs a thought about its cost, and about the controls that it can make."""
    assert sorted(TEXT_FILTERS) == sorted(HTML_FILTERS) == sorted(DERIVED_FILTERS)
    assert " ".join(sorted(TEXT_FILTERS)) == (
        "abs capitalize count e escape first float forceescape format int join last length list"
        " lower max min replace reverse round safe sort string striptags sum title tojson trim"
        " truncate unique upper urlencode wordcount"
    )
    assert " ".join(sorted(METHODS)) == (
        "capitalize casefold count endswith find isalnum isalpha isdigit islower isnumeric isspace"
        " istitle isupper lower lstrip removeprefix removesuffix rfind rsplit rstrip split"
        " splitlines startswith strip swapcase title upper"
    )
    assert {TEXT_FILTERS["striptags"], DERIVED_FILTERS["safe"]} == CAN_MAKE_CONTROLS
