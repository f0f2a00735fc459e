"""The languages of the pages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaignd.web import wording


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"),
        ("de", "de"),
        ("de-AT,de;q=0.9,en;q=0.8", "de"),
        ("nl,fr;q=0.5", "fr"),
        ("en;q=0.5, ES", "es"),
        ("de;q=0, fr", "fr"),
        ("de;q=x", "en"),
        ("*", "en"),
        ("," * 5_000 + "de", "en"),
    ],
)
def test_the_one_that_is_liked_best(header: str, language: str) -> None:
    assert wording.chosen(header) == language


@given(st.text())
def test_whatever_the_header_says(header: str) -> None:
    assert wording.chosen(header) in wording.LANGUAGES


def test_nothing_is_left_in_english() -> None:
    for language, words in wording.LANGUAGES.items():
        assert all(all(part) for part in words)
        if language != "en":
            assert not set(words) & set(wording.ENGLISH)
