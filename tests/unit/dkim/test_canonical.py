"""Relaxed canonicalisation, against the examples of RFC 6376 and against dkimpy."""

from __future__ import annotations

from dkim.canonicalization import Relaxed
from hypothesis import given
from hypothesis import strategies as st

from campaignd.dkim import canonical

TEXT = st.lists(st.sampled_from(["a", "B", ":", ".", " ", "\t", "\r\n", "é"]), max_size=40).map(
    lambda pieces: "".join(pieces).encode()
)


def test_the_example_of_rfc_6376() -> None:
    """3.4.5, without its second field's space before the colon, which `compose` never makes."""
    assert canonical.fields(b"A: X\r\nB: Y\t\r\n\tZ  ") == {b"a": b"X", b"b": b"Y Z"}
    assert canonical.body(b" C \r\nD \t E\r\n\r\n\r\n") == b" C\r\nD E\r\n"


def test_bodies_with_nothing_in_them() -> None:
    for octets in (b"", b"\r\n", b"\r\n\r\n", b" \r\n\t\r\n", b" "):
        assert canonical.body(octets) == b""
    assert canonical.body(b"x") == b"x\r\n"


@given(TEXT)
def test_a_body_is_as_dkimpy_has_it(octets: bytes) -> None:
    octets += b"\r\n"
    assert canonical.body(octets) == Relaxed.canonicalize_body(octets)


@given(TEXT, TEXT)
def test_a_body_in_two_pieces(start: bytes, end: bytes) -> None:
    end = b"\r\n" + end + b"--boundary--\r\n"
    assert canonical.lines(start) + canonical.body(end) == canonical.body(start + end)


@given(
    st.lists(
        st.lists(st.sampled_from(["a", "Z", ":", " ", "\t", "\r\n ", "\r\n\t"]), max_size=20).map(
            lambda pieces: "".join(pieces).encode() + b"."
        ),
        min_size=1,
        max_size=5,
    )
)
def test_header_fields_are_as_dkimpy_has_them(values: list[bytes]) -> None:
    names = [b"X-Field-%d" % number for number in range(len(values))]
    head = b"\r\n".join(name + b": " + value for name, value in zip(names, values, strict=True))
    theirs = Relaxed.canonicalize_headers(
        [(name, b" " + value + b"\r\n") for name, value in zip(names, values, strict=True)]
    )
    assert [(n, v + b"\r\n") for n, v in canonical.fields(head).items()] == theirs
