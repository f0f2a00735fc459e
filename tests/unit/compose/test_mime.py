from __future__ import annotations

import re
from email import message_from_bytes
from email.policy import default

import pytest

from campaignd.compose.mime import ENCODINGS, Skeleton, boundary


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_two_parts_are_alternatives(encoding: bytes) -> None:
    skeleton = Skeleton(("plain", "html"), boundary(b"x"))
    before, between = skeleton.parts
    wire = b"A: b\r\n" + before[encoding] + b"YQ==" + between[encoding] + b"Yg==" + skeleton.end
    message = message_from_bytes(wire, policy=default)
    assert message["A"] == "b"
    assert message.get_content_type() == "multipart/alternative"
    assert message.get_boundary() == boundary(b"x").decode()
    parts = list(message.iter_parts())  # type: ignore[attr-defined]
    assert [part.get_content_type() for part in parts] == ["text/plain", "text/html"]
    assert {part["Content-Transfer-Encoding"] for part in parts} == {encoding.decode()}
    assert [part.get_content_charset() for part in parts] == ["utf-8", "utf-8"]
    assert [part.get_payload() for part in parts] == ["YQ==", "Yg=="]
    assert not message.defects


def test_one_part_is_the_message() -> None:
    skeleton = Skeleton(("plain",), boundary(b"x"))
    (before,) = skeleton.parts
    message = message_from_bytes(b"A: b\r\n" + before[b"8bit"] + b"body\r\n", policy=default)
    assert message.get_content_type() == "text/plain"
    assert message["MIME-Version"] == "1.0"
    assert message.get_payload() == "body\r\n"
    assert skeleton.end == b""


def test_a_boundary_is_fixed_by_its_seed_and_stands_in_no_encoded_body() -> None:
    assert boundary(b"x") == boundary(b"x") != boundary(b"y")
    assert re.fullmatch(rb"=_\d{39}", boundary(b"x"))
