from __future__ import annotations

import quopri
from base64 import b64decode

from hypothesis import example, given
from hypothesis import strategies as st

from campaignd.compose import encoding

LINES = st.lists(
    st.one_of(
        st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"])),
        st.sampled_from(
            [".", "..", ".a", "a ", "\t", "=", "x" * 998, "x" * 999, "é" * 400, "From "]
        ),
    )
).map("\r\n".join)


@given(text=LINES, eight_bit=st.booleans())
@example(text="x" * 999, eight_bit=True)
@example(text="é" * 500, eight_bit=True)
@example(text="x" * 80 + ".\r\n" + "." * 200, eight_bit=False)
def test_an_encoded_body_decodes_to_itself_in_lines_that_fit(text: str, eight_bit: bool) -> None:
    name, body = encoding.encode(text, eight_bit=eight_bit)
    lines = body.split(b"\r\n")
    assert b"\n" not in body.replace(b"\r\n", b"")
    decoded = {
        b"7bit": bytes,
        b"8bit": bytes,
        b"quoted-printable": quopri.decodestring,
        b"base64": b64decode,
    }[name](body)
    assert decoded == text.encode()
    assert max(map(len, lines)) <= (998 if name in (b"7bit", b"8bit") else 76)
    assert body.isascii() or (name == b"8bit" and eight_bit)


def test_the_encoding_is_the_lightest_that_fits() -> None:
    def chosen(text: str, eight_bit: bool) -> bytes:
        return encoding.encode(text, eight_bit=eight_bit)[0]

    assert chosen("plain", False) == b"7bit"
    assert chosen("x" * 998 + "\r\n" + "x" * 998, False) == b"7bit"
    assert chosen("x" * 999, True) == b"quoted-printable"
    assert chosen("Grüße aus München, und viele davon", True) == b"8bit"
    assert chosen("Grüße aus München, und viele davon, von uns allen", False) == b"quoted-printable"
    assert chosen("שלום", False) == b"base64"


@given(st.lists(st.integers(0, 1_100).map(lambda length: b"x" * length)).map(b"\r\n".join))
def test_lines_fit_as_counting_them_says(octets: bytes) -> None:
    assert encoding.lines_fit(octets) == all(len(line) <= 998 for line in octets.split(b"\r\n"))


@given(st.lists(st.sampled_from([b".", b"..", b"a", b"", b".a", b"a."])).map(b"\r\n".join))
def test_dots_are_doubled_and_the_only_lone_one_is_the_last(body: bytes) -> None:
    wire = encoding.for_data(b"A: b\r\n\r\n" + body)
    lines = wire.split(b"\r\n")
    assert lines.index(b".") == len(lines) - 2
    assert lines[-1] == b""
    taken = b"\r\n".join(line.removeprefix(b".") for line in lines[:-2])
    assert taken + b"\r\n" in (b"A: b\r\n\r\n" + body, b"A: b\r\n\r\n" + body + b"\r\n")


def test_canonical_text_has_crlf_and_no_controls() -> None:
    assert encoding.canonical("a\nb\r\nc", inexact=False) == "a\r\nb\r\nc"
    assert encoding.canonical("a\r\0\x0bb\x85c\r\n", inexact=True) == "a\r\n\r\nb\r\nc\r\n"
