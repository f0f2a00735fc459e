"""A campaign with everything in it: whatever the values are, all of it arrives as it was meant."""

from __future__ import annotations

import re
from collections.abc import Callable
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.policy import compat32
from email.utils import parseaddr
from html.parser import HTMLParser

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from campaignd.compose import CampaignSpec, Composer, date_header
from campaignd.compose.composer import SHARED_OCTETS
from campaignd.compose.links import Links
from campaignd.compose.mime import boundary
from campaignd.compose.spec import Attached
from campaignd.tokens import Purpose, TokenKeys

Read = Callable[[bytes], EmailMessage]
MakeSpec = Callable[..., CampaignSpec]

CAMPAIGN = 7
KEYS = TokenKeys([b"k" * 32])
LINKS = Links(KEYS, "https://links.acme.example", "bounces.acme.example")
PNG = Attached("logo.png", "image/png", b"\x89PNG\r\n.\r\n" * 20, "logo")
SMALL = Attached("Preise für 2026.txt", 'text/plain; charset="utf-8"', "ä\n.\n".encode())
LARGE = Attached("terms.pdf", "application/pdf", bytes(range(256)) * 100)

NASTY = st.sampled_from(
    [
        "\r\nBcc: evil@example.com\r\n\r\nbody",
        "\r\n.\r\nQUIT\r\n",
        *(f"\r\n--{boundary(b'7').decode()}{level}--\r\n" for level in ("", "a", "m", "r")),
        "{{ b }}{% if %}",
        '"quoted\\',
        "</div><b>&amp;</b>'\"",
        "=?utf-8?q?x?=",
        "=\r\n=",
        "\0\x85\u2028\ud800",
    ]
)
VALUES = st.one_of(NASTY, st.text(), st.text(alphabet="a .\r\n=-_é<&"), st.just("é" * 2_000))
ADDRESSES = st.sampled_from(
    ["ada@example.com", "o'b@example.com", '"a.b"@x.example', "用户@x.example"]
)


def meant(value: str) -> str:
    value = re.sub("\r\n|[\r\v\f\x85\u2028\u2029]", "\n", value)
    kept = (c for c in value if c in "\t\n" or (c >= " " and not "\x7f" <= c <= "\x9f"))
    return "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in kept)


def line(value: str) -> str:
    return re.sub("[\t\n]+", " ", meant(value)).strip(" ")


def mailbox(wire: bytes, name: str) -> tuple[str, str]:
    """As RFC 2047, 6.2, has it, which the standard library's modern policy has not."""
    raw = "".join(str(message_from_bytes(wire, policy=compat32)[name]).splitlines())
    display, address = parseaddr(raw)
    return str(make_header(decode_header(display))), address


class Shown(HTMLParser):
    """What a browser reads in it."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("attached", [[], [SMALL], [SMALL, LARGE]], ids=["none", "small", "large"])
@given(a=VALUES, b=VALUES, seq=st.integers(1, 10_000), eight_bit=st.booleans())
@example(a=boundary(b"7").decode(), b=boundary(b"7").decode(), seq=1, eight_bit=True)
def test_all_of_it_arrives(
    read: Read,
    make_spec: MakeSpec,
    attached: list[Attached],
    a: str,
    b: str,
    seq: int,
    eight_bit: bool,
) -> None:
    spec = make_spec(
        sender="{{ a }} at Acme <news@acme.example>",
        envelope_sender=None,
        reply_to="{{ b }} <help@acme.example>",
        to_name="{{ a }} {{ b }}",
        subject="{{ a }}, {{ b }}",
        text="{{ a }}\n{{ unsubscribe_url }}\n{{ b }}",
        html='<!doctype html><body id="x">{{ a }}<img src="cid:logo">'
        '<a href="{{ unsubscribe_url }}">'
        "{{ b }}</a></body>\n",
        preheader='{{ b }} & "more" {now}',
        headers={"X-Token": "{{ message_token }}", "X-A": "{{ a }}"},
        inline=[PNG],
        attachments=attached,
    )
    composer = Composer(spec, CAMPAIGN, ["a", "b"], LINKS)
    composed = composer.compose(
        3, seq, "ada@example.com", [a, b], date=date_header(0.0), eight_bit=eight_bit
    )
    wire = composed.wire
    assert bool(composed.tail) == (sum(len(each.data) for each in attached) > SHARED_OCTETS)
    assert composed.eight_bit == (not wire.isascii())
    message = read(wire)

    token = KEYS.signer(Purpose.UNSUBSCRIBE, CAMPAIGN)(3, seq).decode()
    back = KEYS.signer(Purpose.RETURN, CAMPAIGN)(3, seq).decode()
    url = f"https://links.acme.example/u/{token}"
    assert composed.sender.decode() == f"b-{back}@bounces.acme.example"
    assert sorted(message.keys()) == sorted(
        [
            *("From", "Reply-To", "Subject", "X-Token", "X-A", "Date", "Message-ID", "To"),
            *("List-Unsubscribe", "List-Unsubscribe-Post", "List-Id", "Feedback-ID", "Precedence"),
            *("MIME-Version", "Content-Type"),
        ]
    )
    assert message["List-Unsubscribe"] == (
        f"<{url}>, <mailto:u-{token}@bounces.acme.example?subject=unsubscribe>"
    )
    assert message["X-Token"] == back
    assert message["X-A"] == line(a)
    assert message["Subject"] == line(f"{a}, {b}")
    assert mailbox(wire, "From") == (line(f"{a} at Acme"), "news@acme.example")
    assert mailbox(wire, "Reply-To") == (line(b), "help@acme.example")
    assert mailbox(wire, "To") == (line(f"{a} {b}"), "ada@example.com")

    plain = message.get_body(("plain",))
    html = message.get_body(("html",))
    assert plain is not None
    assert html is not None
    x, y = meant(a), meant(b)
    assert plain.get_content().replace("\r\n", "\n").removesuffix("\n") == (
        f"{x}\n{url}\n{y}".removesuffix("\n")
    )
    shown = Shown(html.get_content())
    assert shown.text.replace("\r\n", "\n") == f'{y} & "more" {{now}}{x}{y}\n'
    assert [tag for tag, _ in shown.tags] == ["body", "div", "img", "a"]
    assert shown.tags[0][1] == {"id": "x"}
    assert (shown.tags[1][1]["style"] or "").startswith("display:none")
    assert shown.tags[3][1] == {"href": url}
    files = [
        (part.get_filename(), part.get_content_type(), part.get_payload(decode=True))
        for part in message.walk()
        if part.get_content_disposition() is not None
    ]
    assert files == [
        (each.name, each.type.partition(";")[0], each.data) for each in [PNG, *attached]
    ]


@given(name=VALUES, address=ADDRESSES)
def test_the_recipients_name_and_address(
    read: Read, make_spec: MakeSpec, name: str, address: str
) -> None:
    composer = Composer(make_spec(to_name="{{ a }}"), CAMPAIGN, ["a"])
    composed = composer.compose(1, 2, address, [name], date=date_header(0.0), eight_bit=False)
    assert composed.smtputf8 == (not address.isascii())
    read(composed.wire)
    raw = re.search(rb"(?m)^To: ((?:.|\r\n[ \t])*)\r$", composed.wire)
    assert raw is not None
    value = raw[1].decode()
    if line(name):
        assert value.endswith(f"<{address}>")
        assert mailbox(composed.wire, "To")[0] == line(name)
    else:
        assert value == address


def test_large_files_are_in_memory_once(make_spec: MakeSpec) -> None:
    composer = Composer(make_spec(attachments=[LARGE]), CAMPAIGN, [])
    made = [
        composer.compose(0, seq, "a@b.example", [], date=b"x", eight_bit=False) for seq in (1, 2)
    ]
    assert made[0].tail is made[1].tail
    assert len(made[0].tail) == composer.shared_octets > len(LARGE.data)
    assert len(made[0].message) < 1_000
