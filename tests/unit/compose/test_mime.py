from __future__ import annotations

import re
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaignd.compose.mime import ENCODINGS, Skeleton, boundary
from campaignd.compose.spec import Attached

LOGO = Attached("logo.png", "image/png", b"\x89PNG", "logo@acme.example")
TERMS = Attached("terms.pdf", "application/pdf", b"%PDF" * 100)


def filled(
    skeleton: Skeleton, encoding: bytes = b"7bit", tail: bytes | None = None
) -> EmailMessage:
    pieces = [piece[encoding] + b"YQ==\r\n" for piece in skeleton.parts]
    wire = b"A: b\r\n" + b"".join(pieces) + (skeleton.tail if tail is None else tail)
    message = message_from_bytes(wire, _class=EmailMessage, policy=default)
    assert isinstance(message, EmailMessage)
    assert message["A"] == "b"
    assert message["MIME-Version"] == "1.0"
    assert [defect for part in message.walk() for defect in part.defects] == []
    return message


def tree(message: EmailMessage) -> object:
    if not message.is_multipart():
        return message.get_content_type()
    return [message.get_content_subtype(), *map(tree, message.iter_parts())]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_two_parts_are_alternatives(encoding: bytes) -> None:
    message = filled(Skeleton(("plain", "html"), boundary(b"x")), encoding)
    assert tree(message) == ["alternative", "text/plain", "text/html"]
    parts = list(message.iter_parts())
    assert {part["Content-Transfer-Encoding"] for part in parts} == {encoding.decode()}
    assert [part.get_content_charset() for part in parts] == ["utf-8", "utf-8"]
    assert [part.get_payload() for part in parts] == ["YQ==\r\n", "YQ==\r\n"]


def test_one_part_is_the_message() -> None:
    skeleton = Skeleton(("plain",), boundary(b"x"))
    message = filled(skeleton, b"8bit")
    assert tree(message) == "text/plain"
    assert message.get_payload() == "YQ==\r\n"
    assert skeleton.tail == b""


@pytest.mark.parametrize(
    ("subtypes", "inline", "attachments", "shape"),
    [
        (("plain",), [], [TERMS], ["mixed", "text/plain", "application/pdf"]),
        (
            ("plain", "html"),
            [LOGO],
            [],
            ["alternative", "text/plain", ["related", "text/html", "image/png"]],
        ),
        (
            ("plain", "html"),
            [LOGO, LOGO],
            [TERMS, TERMS],
            [
                "mixed",
                ["alternative", "text/plain", ["related", "text/html", "image/png", "image/png"]],
                "application/pdf",
                "application/pdf",
            ],
        ),
    ],
)
def test_files_stand_where_readers_look_for_them(
    subtypes: tuple[str, ...], inline: list[Attached], attachments: list[Attached], shape: object
) -> None:
    skeleton = Skeleton(subtypes, boundary(b"x"), inline=inline, attachments=attachments)
    message = filled(skeleton)
    assert tree(message) == shape
    assert tree(filled(skeleton, tail=skeleton.bare_tail)) == shape
    boundaries = [part.get_boundary() or "" for part in message.walk() if part.is_multipart()]
    assert all(each.startswith(boundary(b"x").decode()) for each in boundaries)
    assert len({len(each) for each in boundaries}) == 1, "one would begin with another"
    assert len(set(boundaries)) == len(boundaries)
    for part in message.walk():
        if part.get_content_type() == "application/pdf":
            assert part.get_content() == TERMS.data
            assert (part.get_content_disposition(), part.get_filename()) == (
                "attachment",
                "terms.pdf",
            )
        if part.get_content_type() == "image/png":
            assert part.get_content() == LOGO.data
            assert part["Content-ID"] == "<logo@acme.example>"
            assert part.get_content_disposition() == "inline"


NAMES = st.text(min_size=1, max_size=200).filter(
    lambda name: name.isprintable() and name == name.strip() and not re.search(r"[/\\]|=\?", name)
)


@given(NAMES, st.binary(max_size=300))
def test_any_file_arrives(name: str, data: bytes) -> None:
    attached = Attached(name, "application/octet-stream", data)
    message = filled(Skeleton(("plain",), boundary(b"x"), attachments=[attached]))
    _, part = message.iter_parts()
    assert part.get_filename() == name
    assert part.get_content() == data


def test_no_type_of_a_file_is_taken_for_a_hole() -> None:
    attached = Attached("a", "application/campaignd-hole", b"x")
    message = filled(Skeleton(("plain",), boundary(b"x"), attachments=[attached]))
    assert tree(message) == ["mixed", "text/plain", "application/campaignd-hole"]


@given(st.binary(max_size=300))
def test_the_tail_needs_no_stuffing(data: bytes) -> None:
    attached = Attached(".x", "text/plain", data)
    skeleton = Skeleton(("plain",), boundary(b"x"), attachments=[attached])
    assert b"\r\n." not in skeleton.tail
    assert skeleton.tail.startswith(b"\r\n")
    assert skeleton.tail.endswith(b"--\r\n")
    assert max(map(len, skeleton.tail.split(b"\r\n"))) <= 78


def test_a_boundary_is_fixed_by_its_seed_and_stands_in_no_encoded_body() -> None:
    assert boundary(b"x") == boundary(b"x") != boundary(b"y")
    assert re.fullmatch(rb"=_\d{39}", boundary(b"x"))
