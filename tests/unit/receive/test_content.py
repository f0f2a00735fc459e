"""Messages are taken apart like the standard library does, as far as the bounds go."""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage, Message

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaignd.receive import content as content_module
from campaignd.receive.content import (
    MAX_DEPTH,
    MAX_FIELDS,
    MAX_HEADER_OCTETS,
    MAX_OCTETS,
    MAX_PARTS,
    MAX_TEXT_OCTETS,
    Content,
    Fields,
    content_type,
    read,
)
from tests.unit.receive.messages import CORPUS, message

texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=200)
leaves = st.tuples(
    st.sampled_from(["text/plain", "text/html", "message/delivery-status", "message/rfc822"]),
    st.sampled_from(["7bit", "8bit", "quoted-printable", "base64"]),
    texts,
)
trees = st.recursive(leaves, lambda inner: st.lists(inner, min_size=1, max_size=4), max_leaves=12)


def build(tree: object, depth: int = 0) -> bytes:
    """A message, written by hand: what the library would not write has to be read as well."""
    if isinstance(tree, tuple):
        kind, encoding, text = tree
        body = text.encode()
        if encoding == "base64":
            import base64

            body = base64.encodebytes(body)
        elif encoding == "quoted-printable":
            import quopri

            body = quopri.encodestring(body)
        head = f"Content-Type: {kind}; charset=utf-8\nContent-Transfer-Encoding: {encoding}\n\n"
        return head.encode() + body
    assert isinstance(tree, list)
    boundary = f"=_b{depth}_{'x' * depth}".encode()
    parts = b"".join(b"--" + boundary + b"\n" + build(part, depth + 1) + b"\n" for part in tree)
    return (
        b'Content-Type: multipart/mixed; boundary="'
        + boundary
        + b'"\n\n'
        + parts
        + (b"--" + boundary + b"--\n")
    )


def leaf_texts(tree: object) -> list[tuple[str, str]]:
    if isinstance(tree, tuple):
        return [(tree[0], tree[2])]
    assert isinstance(tree, list)
    return [leaf for part in tree for leaf in leaf_texts(part)]


def depth_of(tree: object) -> int:
    return 1 + max(map(depth_of, tree)) if isinstance(tree, list) else 0


@given(trees, st.sampled_from([b"\n", b"\r\n"]))
def test_what_was_put_in_is_read(tree: object, line_end: bytes) -> None:
    content = read(build(tree).replace(b"\n", line_end))
    expected = leaf_texts(tree)
    if depth_of(tree) > MAX_DEPTH:
        assert len(content.parts) <= len(expected)
        return
    found = [(part.kind, " ".join(part.text().split())) for part in content.parts]
    assert found == [(kind, " ".join(text.split())) for kind, text in expected]


@pytest.mark.parametrize("name", sorted(file.stem for file in CORPUS.glob("*.eml")))
def test_the_corpus_as_the_standard_library_reads_it(name: str) -> None:
    theirs = email.message_from_bytes(message(name), policy=email.policy.compat32)
    ours = read(message(name))
    assert ours.kind == theirs.get_content_type()
    for key, value in theirs.items():
        assert " ".join(str(value).split()) in [v for k, v in ours.header.all if k == key.lower()]
    assert [part.kind for part in ours.parts] == list(kinds(theirs))


def kinds(message: Message) -> list[str]:
    """Of the leaves; the library looks into messages, too."""
    if message.get_content_maintype() == "multipart":
        parts = message.get_payload()
        assert isinstance(parts, list)
        return [kind for part in parts if isinstance(part, Message) for kind in kinds(part)]
    return [message.get_content_type()]


@given(st.binary(max_size=2_000))
def test_anything_can_be_read(data: bytes) -> None:
    check_bounds(read(data))


@given(st.lists(st.sampled_from([
    b"Content-Type: multipart/mixed; boundary=x", b"Content-Type: message/rfc822", b"\n", b"\r\n",
    b"--x", b"--x--", b"--xy", b" ", b"\x00", b":", b"boundary", b"Content-Type:", b"\xff", b"; ",
    b"Content-Transfer-Encoding: base64\n", b"QUJD", b"=", b'"',
]), max_size=60).map(b"".join))  # fmt: skip
def test_broken_structure_can_be_read(data: bytes) -> None:
    check_bounds(read(data))


def nested(depth: int) -> bytes:
    return b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (level, level)
        for level in range(depth)
    )


@pytest.mark.parametrize(
    "data",
    [
        nested(10_000),
        b"Content-Type: multipart/mixed; boundary=x\n\n" + b"--x\n\n" * 100_000,
        b"Content-Type: multipart/mixed; boundary=x\n\n" + b"--xy\n" * 100_000,
        b"Content-Type: message/rfc822\n\n" * 20_000,
        b"Subject: " + b"x" * 500_000,
        b"A: b\n" * 100_000,
        b"Subject: a\n" + b" \n" * 200_000,
        b"Content-Type: multipart/mixed" + b';"' * 200_000,
        b"\n" * 500_000,
        b"\x00" * 500_000,
        b"x" * (2 * MAX_OCTETS),
    ],
    ids=range(11),
)
def test_hostile_messages_stay_within_bounds(data: bytes) -> None:
    check_bounds(read(data))


def check_bounds(content: Content) -> None:
    assert len(content.parts) <= MAX_PARTS
    assert len(content.header.all) <= MAX_FIELDS
    assert sum(len(name) + len(value) for name, value in content.header.all) <= MAX_HEADER_OCTETS
    assert sum(len(part.raw) for part in content.parts) <= MAX_OCTETS
    for part in content.parts:
        assert len(part.text()) <= MAX_TEXT_OCTETS


def test_parts_of_parts_have_one_bound() -> None:
    inner = b"Content-Type: multipart/mixed; boundary=y\n\n" + b"--y\n\nhi\n" * 9 + b"--y--\n"
    data = b"Content-Type: multipart/mixed; boundary=x\n\n" + (b"--x\n" + inner) * 9 + b"--x--\n"
    assert len(read(data).parts) == MAX_PARTS


def test_multiparts_without_parts_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty to the power of the depth would fit into a megabyte; each costs a header."""
    headers: list[Fields] = []

    def counted(header: Fields) -> tuple[str, dict[str, str]]:
        headers.append(header)
        return content_type(header)

    monkeypatch.setattr(content_module, "content_type", counted)
    data = b"Content-Type: multipart/mixed; boundary=b3\n\n"
    for level in (2, 1, 0):
        parts = (b"--b%d\n" % level + data) * MAX_PARTS
        data = b"Content-Type: multipart/mixed; boundary=b%d\n\n" % level + parts
    check_bounds(read(data))
    assert len(headers) <= 3 * MAX_PARTS


@pytest.mark.parametrize(
    "parameters", ["boundary*=x; boundary*0=y", "boundary*=idna''x", "boundary*=a\0b''x"]
)
def test_a_type_that_the_library_cannot_read(parameters: str) -> None:
    data = f"Subject: hi\nContent-Type: multipart/report; {parameters}\n\n--x\n\nhi\n--x--\n"
    content = read(data.encode())
    assert (content.kind, content.header.get("subject")) == ("multipart/report", "hi")
    check_bounds(content)


def test_parts_without_anything() -> None:
    """The line end behind a delimiter is the one before the next."""
    data = b"Content-Type: multipart/mixed; boundary=x\n\n--x\n--x\n\nhi\n--x\n--x--\nthe end"
    assert [part.text() for part in read(data).parts] == ["", "hi", ""]


def test_deeper_parts_are_left_alone() -> None:
    deepest = nested(MAX_DEPTH) + b"Content-Type: text/html\n\nhi"
    assert [part.kind for part in read(deepest).parts] == ["text/html"]
    too_deep = nested(MAX_DEPTH + 1) + b"Content-Type: text/html\n\nhi"
    assert [part.kind for part in read(too_deep).parts] == ["multipart/mixed"]


def test_a_message_of_the_library() -> None:
    built = EmailMessage()
    built["Subject"] = "Grüße " * 30
    built.set_content("words\n")
    built.add_attachment(b"\x00\x01", maintype="application", subtype="octet-stream")
    content = read(built.as_bytes())
    assert [part.kind for part in content.parts] == ["text/plain", "application/octet-stream"]
    assert content.parts[0].text() == "words\n"
