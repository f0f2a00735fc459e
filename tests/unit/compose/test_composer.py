from __future__ import annotations

import re
from collections.abc import Callable
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.policy import compat32
from email.utils import parseaddr

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from campaignd.compose import CampaignSpec, Composer, date_header
from campaignd.compose.mime import boundary
from campaignd.errors import RowError, TemplateError

Read = Callable[[bytes], EmailMessage]
MakeSpec = Callable[..., CampaignSpec]

ADDRESS = "ada@example.com"
DATE = date_header(1_700_000_000)
CAMPAIGN = 7

LONG = st.sampled_from(["a" * 9_990, "é" * 9_000, "ab " * 3_000, "." * 2_000])
NASTY = st.sampled_from(
    [
        "\r\nBcc: evil@example.com\r\n\r\nbody",
        "\n.\n",
        ".",
        "..\r\n.\r\nQUIT\r\n",
        "\0",
        "👍🏽 emoji",
        "\u202eשלום עולם\u202c",
        "=?utf-8?q?x?=",
        '"quoted\\',
        "<b>&amp;</b>'\"",
        f"\r\n--{boundary(b'7').decode()}--\r\n",
        boundary(b"7").decode(),
        " ",
        "\t",
        "trailing  ",
        "\x85\u2028\u2029\x0b\x0c",
        "\ud800",
        "From me\nFrom you",
    ]
)
VALUES = st.one_of(
    NASTY,
    LONG,
    st.text(),
    st.text(alphabet="a .\r\n=\0é<"),
    st.lists(NASTY, max_size=4).map("".join),
)


def meant(value: str) -> str:
    """What of a value shall arrive in a body."""
    value = re.sub("\r\n|[\r\v\f\x85\u2028\u2029]", "\n", value)
    kept = (c for c in value if c in "\t\n" or (c >= " " and not "\x7f" <= c <= "\x9f"))
    return "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in kept)


def meant_in_header(text: str) -> str:
    return re.sub("[\t\n]+", " ", text).strip(" ")


def escaped(text: str) -> str:
    for character, entity in zip("&<>'\"", ("amp", "lt", "gt", "#39", "#34"), strict=True):
        text = text.replace(character, f"&{entity};")
    return text


def bodies(message: EmailMessage) -> dict[str, str]:
    """Content by subtype, with line feeds."""
    return {
        part.get_content_subtype(): part.get_content().replace("\r\n", "\n")
        for part in message.walk()
        if not part.is_multipart()
    }


def sender(wire: bytes) -> tuple[str, str]:
    """Display name and address of From. Not by the modern policy: it leaves the space between
    adjacent encoded words in a display name, which RFC 2047, 6.2, takes out."""
    raw = message_from_bytes(wire, policy=compat32)["From"]
    name, address = parseaddr("".join(raw.splitlines()))
    return str(make_header(decode_header(name))), address


def compose(composer: Composer, *values: object, eight_bit: bool = True) -> bytes:
    return composer.compose(3, 4, ADDRESS, values, date=DATE, eight_bit=eight_bit).message


@given(a=VALUES, b=VALUES, eight_bit=st.booleans())
@example(a="", b=".", eight_bit=True)
@example(a="=_", b=boundary(b"7").decode()[2:], eight_bit=True)
@example(a="\n", b=".\n", eight_bit=False)
def test_whatever_the_values_are_they_arrive_and_stay_in_their_place(
    read: Read, make_spec: MakeSpec, a: str, b: str, eight_bit: bool
) -> None:
    spec = make_spec(
        sender="{{ b }} <news@acme.example>",
        subject="For {{ a }}{{ b }}",
        text="{{ a }}{{ b }}\n.{{ b }}\n",
        html="<p>{{ a }}{{ b }}</p>\n",
        headers={"X-A": "{{ a }}", "X-Fixed": "fixed"},
    )
    composer = Composer(spec, CAMPAIGN, ["a", "b"])
    composed = composer.compose(3, 4, ADDRESS, [a, b], date=DATE, eight_bit=eight_bit)
    message = read(composed.message)

    x, y = meant(a), meant(b)
    assert composed.eight_bit == (not composed.message.isascii())
    assert not composed.eight_bit or eight_bit
    assert sorted(message.keys()) == [
        *("Content-Type", "Date", "From", "MIME-Version", "Message-ID", "Subject", "To"),
        *("X-A", "X-Fixed"),
    ]
    assert message["Subject"] == meant_in_header(f"For {x}{y}")
    assert message["X-A"] == meant_in_header(x)
    assert message["To"] == ADDRESS
    assert sender(composed.message) == (meant_in_header(y), "news@acme.example")
    assert bodies(message) == {
        "plain": f"{x}{y}\n.{y}\n",
        "html": f"<p>{escaped(x + y)}</p>\n",
    }


@given(value=VALUES, eight_bit=st.booleans())
def test_a_message_of_one_part_arrives_too(
    read: Read, make_spec: MakeSpec, value: str, eight_bit: bool
) -> None:
    composer = Composer(make_spec(text="{{ a }}"), CAMPAIGN, ["a"])
    message = read(compose(composer, value, eight_bit=eight_bit))
    (content,) = bodies(message).values()
    assert content.removesuffix("\n") == meant(value).removesuffix("\n")
    assert message.get_content_type() == "text/plain"


@pytest.mark.parametrize(
    ("text", "eight_bit", "encoding"),
    [
        ("plain\n", True, "7bit"),
        ("Grüße aus München, von uns allen\n", True, "8bit"),
        ("Grüße aus München, von uns allen\n", False, "quoted-printable"),
        ("Привет\n", False, "base64"),
        ("x" * 999 + "\n", True, "quoted-printable"),
        ("é" * 500 + "\n", True, "base64"),
        ("é" * 499 + "\n", True, "8bit"),
    ],
)
def test_each_part_has_the_lightest_encoding_that_can_carry_it(
    read: Read, make_spec: MakeSpec, text: str, eight_bit: bool, encoding: str
) -> None:
    composer = Composer(make_spec(text=text, html="<p>ascii</p>"), CAMPAIGN, [])
    plain, html = read(compose(composer, eight_bit=eight_bit)).iter_parts()
    assert plain["Content-Transfer-Encoding"] == encoding
    assert html["Content-Transfer-Encoding"] == "7bit"
    assert bodies(plain)["plain"] == text  # type: ignore[arg-type]


@pytest.mark.parametrize("part", ["text", "html"])
def test_a_body_with_a_boundary_in_it_is_encoded(
    read: Read, make_spec: MakeSpec, part: str
) -> None:
    composer = Composer(make_spec(**{"text": "x", "html": "x", part: "{{ a }}"}), CAMPAIGN, ["a"])
    value = f"\r\n--{boundary(b'7').decode()}a--\r\n"
    message = read(compose(composer, value))
    found = message.get_body(("html" if part == "html" else "plain",))
    assert found is not None
    assert found["Content-Transfer-Encoding"] == "base64"
    assert found.get_content() == value
    assert boundary(b"7") in compose(composer, "x")


def test_the_message_id_depends_on_campaign_and_recipient_only(
    read: Read, make_spec: MakeSpec
) -> None:
    def message_id(campaign: int, shard: int, seq: int, value: str) -> str:
        composer = Composer(make_spec(text="{{ a }}"), campaign, ["a"])
        composed = composer.compose(shard, seq, ADDRESS, [value], date=DATE, eight_bit=True)
        return str(read(composed.message)["Message-ID"])

    assert message_id(1, 2, 3, "x") == message_id(1, 2, 3, "y")
    others = {
        message_id(c, s, q, "x") for c, s, q in [(1, 2, 3), (1, 23, 3), (12, 3, 3), (1, 2, 33)]
    }
    assert len(others) == 4
    assert all(re.fullmatch(r"<[0-9a-f]{32}@acme\.example>", one) for one in others)


def test_every_attempt_says_the_same(make_spec: MakeSpec) -> None:
    composer = Composer(make_spec(html="<p>{{ a }}"), CAMPAIGN, ["a"])
    assert compose(composer, "x") == compose(composer, "x")
    other = Composer(make_spec(html="<p>{{ a }}"), CAMPAIGN, ["a"])
    assert compose(other, "x") == compose(composer, "x")


def test_date_is_in_utc(read: Read, make_spec: MakeSpec) -> None:
    message = read(compose(Composer(make_spec(), CAMPAIGN, [])))
    assert message["Date"] == "Tue, 14 Nov 2023 22:13:20 +0000"


@pytest.mark.parametrize("values", [(), (None,)])
def test_a_missing_field_rejects_the_row_with_its_place(
    make_spec: MakeSpec, values: tuple[object, ...]
) -> None:
    composer = Composer(make_spec(text="Hi\n{{ first }}"), CAMPAIGN, ["first"])
    with pytest.raises(RowError, match=r"^merge field first is missing \(campaign, line 2, text\)"):
        compose(composer, *values)


def test_with_a_derived_text_the_place_is_the_html(make_spec: MakeSpec) -> None:
    composer = Composer(make_spec(text=None, html="<p>\n\n{{ a }}"), CAMPAIGN, ["a"])
    with pytest.raises(RowError, match=r"\(campaign, line 3, html\)"):
        compose(composer, None)


def test_a_default_replaces_a_missing_field_but_not_an_empty_one(
    read: Read, make_spec: MakeSpec
) -> None:
    composer = Composer(make_spec(text="Hi {{ a | default('friend') }}!\n"), CAMPAIGN, ["a"])
    assert bodies(read(compose(composer, None))) == {"plain": "Hi friend!\n"}
    assert bodies(read(compose(composer))) == {"plain": "Hi friend!\n"}
    assert bodies(read(compose(composer, ""))) == {"plain": "Hi !\n"}


def test_numbers_are_values_and_unused_columns_do_not_matter(
    read: Read, make_spec: MakeSpec
) -> None:
    composer = Composer(make_spec(text="{{ n }} {{ f }} {{ b }}\n"), CAMPAIGN, ["x", "n", "f", "b"])
    message = read(compose(composer, {"not": "a scalar"}, 12, 1.5, True))
    assert bodies(message) == {"plain": "12 1.5 True\n"}


def test_a_value_that_is_no_scalar_rejects_the_row(make_spec: MakeSpec) -> None:
    composer = Composer(make_spec(text="{{ a }}"), CAMPAIGN, ["a"])
    with pytest.raises(RowError, match="merge field a is a list"):
        compose(composer, ["x"])


def test_values_are_bounded_together(make_spec: MakeSpec) -> None:
    composer = Composer(make_spec(text="{{ a }}{{ b }}"), CAMPAIGN, ["a", "b"])
    compose(composer, "x" * 40_000, "y" * 40_000)
    with pytest.raises(RowError, match="more than 100000 characters"):
        compose(composer, "x" * 60_000, "y" * 60_000)


def test_an_overlong_header_rejects_the_row(make_spec: MakeSpec) -> None:
    composer = Composer(make_spec(subject="{{ a }}"), CAMPAIGN, ["a"])
    with pytest.raises(RowError, match="Subject is longer than 20000 characters"):
        compose(composer, "x" * 20_001)


@pytest.mark.parametrize(
    ("address", "smtputf8"),
    [("o'brien+tag@example.com", False), ('"a.b"@example.com', False), ("用户@example.com", True)],
)
def test_the_recipient_stands_in_to(
    read: Read, make_spec: MakeSpec, address: str, smtputf8: bool
) -> None:
    composer = Composer(make_spec(text="{{ email }}\n"), CAMPAIGN, [])
    composed = composer.compose(1, 2, address, [], date=DATE, eight_bit=False)
    assert (composed.smtputf8, composed.eight_bit) == (smtputf8, smtputf8)
    message = read(composed.message)
    assert bodies(message)["plain"] == f"{address}\n"
    assert f"To: {address}\r\n".encode() in composed.message


@given(
    st.one_of(
        st.text(alphabet='a@.\r\n\0 <>,;:()"\\é=?', min_size=1),
        st.sampled_from(
            [
                *(
                    "a@b.c\r\nBcc: x@y.z",
                    "a b@c.d",
                    "<a@b.c>",
                    "a@b.c, d@e.f",
                    "a@b.c\n",
                    "a@b.c\0",
                ),
                *("", "a", "a@", "@b.c", "x:a@b.c", "(c)a@b.c", "a\u2028@b.c", "=?utf-8?q?a?=@b.c"),
            ]
        ),
    )
)
def test_no_address_gets_out_of_to(read: Read, make_spec: MakeSpec, address: str) -> None:
    composer = Composer(make_spec(), CAMPAIGN, [])
    try:
        composed = composer.compose(1, 2, address, [], date=DATE, eight_bit=True)
    except RowError:
        return
    assert not set(address) & set("\r\n\0 <>,;:()")
    assert f"\r\nTo: {address}\r\n".encode() in composed.message
    if not composed.smtputf8:
        (found,) = read(composed.message)["To"].addresses
        assert found.addr_spec == address


def test_text_is_derived_from_html(read: Read, make_spec: MakeSpec) -> None:
    html = "<p>Dear {{ a }},</p><p><a href='https://x.example/{{ b }}'>Shop &amp; save</a></p>"
    composer = Composer(make_spec(text=None, html=html), CAMPAIGN, ["a", "b"])
    content = bodies(read(compose(composer, "A & B", "7")))
    assert content["plain"] == "Dear A & B,\n\nShop & save (https://x.example/7)\n"
    assert "Dear A &amp; B," in content["html"]


def test_markup_that_html_takes_as_it_is_does_not_reach_the_derived_text(
    read: Read, make_spec: MakeSpec
) -> None:
    composer = Composer(make_spec(text=None, html="<p>{{ a|safe }}{{ a|e }}</p>"), CAMPAIGN, ["a"])
    content = bodies(read(compose(composer, "<i>x</i>&#13;&#10;.&#0;")))
    assert "<p><i>x</i>" in content["html"]
    assert content["plain"].startswith("x")
    assert "\r" not in content["plain"]


def test_controls_that_a_template_makes_itself_are_dropped_too(
    read: Read, make_spec: MakeSpec
) -> None:
    source = r"{{ 'a\r\n.\r\nb\x00\x1bc\u2028d\ud800' }}{{ '&#13;.&#13;&#27;'|striptags }}"
    spec = make_spec(subject=source, text=source, html=source)
    content = bodies(message := read(compose(Composer(spec, CAMPAIGN, []))))
    assert content["plain"] == content["html"] == "a\n.\nbc\nd\ufffd\n.\n"
    assert message["Subject"].startswith("a . b c d")


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"subject": "{{ frist }}"}, "campaign, line 1, subject: there is no column frist"),
        ({"text": "a\n{{ x|nope }}"}, "campaign, line 2, text: there is no filter nope"),
        ({"html": "a\n\n{% if %}"}, "campaign, line 3, html: Expected an expression"),
        ({"headers": {"X-A": "{{"}}, "campaign, line 1, header X-A: "),
        ({"sender": "{{ x }} <a@b.example>"}, "campaign, line 1, from: there is no column x"),
        ({"subject": "x" * 20_001}, "campaign, line 1, subject: Subject is longer"),
        (
            {"text": "{% for i in range(9999) %}{% for i in range(9999) %}" + "{% endfor %}" * 2},
            "the template loops too long, or its output is too large (campaign, line 1, text)",
        ),
        (
            {"html": "{{ 'x' }}" * 3 + "{% for i in range(9999) %}" + "x" * 999 + "{% endfor %}"},
            "too",
        ),
        (
            {
                "text": None,
                "html": '<a href="{% if first %}x">a</a>{% endif %}<p title="{% if 1 %}">',
            },
            "campaign, line 1, html",
        ),
    ],
)
def test_what_is_wrong_with_a_template_shows_when_it_is_compiled(
    make_spec: MakeSpec, changes: dict[str, object], place: str
) -> None:
    with pytest.raises(TemplateError) as caught:
        Composer(make_spec(**changes), CAMPAIGN, ["first"])
    assert place in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_placeholder_trial_does_not_refuse_what_only_some_rows_fail(
    read: Read, make_spec: MakeSpec
) -> None:
    composer = Composer(make_spec(text="{{ 10 / n }}\n"), CAMPAIGN, ["n"])
    assert bodies(read(compose(composer, 4))) == {"plain": "2.5\n"}
    with pytest.raises(RowError, match=r"division by zero \(campaign, line 1, text\)"):
        compose(composer, 0)
    with pytest.raises(RowError, match="needs two numbers"):
        compose(composer, "4")


def test_sender_and_reply_to(read: Read, make_spec: MakeSpec) -> None:
    spec = make_spec(
        sender="Acmé, {{ city }} <news@acme.example>", reply_to="Help, please <help@acme.example>"
    )
    composer = Composer(spec, CAMPAIGN, ["city"])
    message = read(compose(composer, "Köln"))
    assert message["From"].addresses[0].display_name == "Acmé, Köln"
    assert message["Reply-To"].addresses[0].display_name == "Help, please"
    composed = composer.compose(1, 2, ADDRESS, ["x"], date=DATE, eight_bit=True)
    assert composed.sender == b"bounces@acme.example"
