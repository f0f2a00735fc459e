"""The far ends of the demo: they go by what the message says."""

from __future__ import annotations

import pytest

from campaignd.demo.answers import one_click_url
from campaignd.errors import UsageError


def test_the_url_is_that_of_the_message() -> None:
    message = (
        b"From: a@a.example\r\nList-Unsubscribe: <mailto:x@b.example>,\r\n"
        b" <https://l.example/u/12>\r\n\r\nhttps://no.example\r\n"
    )
    assert one_click_url(message) == "https://l.example/u/12"


@pytest.mark.parametrize("field", [b"", b"List-Unsubscribe: <http://l.example>\r\n"])
def test_none(field: bytes) -> None:
    with pytest.raises(UsageError):
        one_click_url(b"From: a@a.example\r\n" + field + b"\r\nx\r\n")
