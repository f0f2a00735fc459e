"""Whole messages: any campaign of these parts, any values, read back by the standard library.

What arrives must be exactly the headers, the parts and the text that were meant, as this module
puts them together from the values by itself.
"""

from __future__ import annotations

import html
import re
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

from campaignd.compose import CampaignSpec, Composed, Composer, date_header
from campaignd.compose.mime import boundary
from campaignd.errors import RowError
from tests.fuzz import nasty
from tests.fuzz.choices import Choices

_SUBJECTS = ("fixed", "{{ a }}", "for {{ a }} and {{ b }}", "{{ b }}{{ a }}")
_TEXTS = ("{{ a }}", "{{ a }}\n{{ b }}\n", ".{{ a }}\n.\n{{ b }}.", "--{{ a }}\n\n{{ b }}--\n")
_HTMLS = ("<p>{{ a }}</p>", "{{ a }}\n.\n{{ b }}", '<a href="{{ b }}">{{ a }}</a>\n')
_HEADERS: tuple[dict[str, str], ...] = (
    {},
    {"X-A": "{{ a }}"},
    {"X-A": "{{ a }}", "List-Unsubscribe": "<https://x.example/?{{ b }}>"},
)
_OURS = ("From", "Subject", "Date", "Message-ID", "To", "MIME-Version", "Content-Type")
_PART = {"content-type", "content-transfer-encoding"}
_CAMPAIGN = 7
_composers: dict[tuple[object, ...], Composer] = {}


def run(data: bytes) -> None:
    choices = Choices(data)
    subject = choices.pick(_SUBJECTS)
    text = choices.pick((*_TEXTS, None))
    source = choices.pick(_HTMLS if text is None else (*_HTMLS, None))
    headers = choices.pick(_HEADERS)
    eight_bit = choices.flag()
    a, b = _value(choices), _value(choices)
    composer = _composer(subject, text, source, headers)
    try:
        composed = composer.compose(
            1, 2, "u@x.example", [a, b], date=date_header(0.0), eight_bit=eight_bit
        )
    except RowError as error:
        assert "missing" in str(error) or "longer than" in str(error), str(error)
        return
    _check_wire(composed, eight_bit)
    message = message_from_bytes(_content(composed), _class=EmailMessage, policy=default)
    values = {"a": _meant(a), "b": _meant(b)}
    assert sorted(message.keys()) == sorted(
        [*_OURS, *headers] + ["Content-Transfer-Encoding"] * (not message.is_multipart())
    )
    assert message["To"] == "u@x.example"
    assert message["From"] == "Acme <news@acme.example>"
    assert message["Subject"] == _line(_filled(subject, values))
    for name, template in headers.items():
        assert message[name] == _line(_filled(template, values)), name
    expected = {}
    if text is not None:
        expected["text/plain"] = _filled(text, values)
    if source is not None:
        escaped = {name: _escaped(value) for name, value in values.items()}
        expected["text/html"] = _filled(source, escaped)
    parts = [part for part in message.walk() if not part.is_multipart()]
    assert [part.get_content_type() for part in parts][-len(expected) :] == list(expected)
    assert len(parts) == (1 if source is None else 2)
    for part in message.walk():
        assert not part.defects
        if part is not message:
            assert {name.lower() for name in part} == _PART
    for part in parts[-len(expected) :]:
        got = part.get_content().replace("\r\n", "\n").removesuffix("\n")
        meant = expected[part.get_content_type()].removesuffix("\n")
        assert got == meant, (got, meant)


def _composer(
    subject: str, text: str | None, source: str | None, headers: dict[str, str]
) -> Composer:
    key = (subject, text, source, *headers)
    if key not in _composers:
        spec = CampaignSpec(
            name="n",
            account="a",
            sender="Acme <news@acme.example>",
            envelope_sender="news@acme.example",
            subject=subject,
            text=text,
            html=source,
            headers=headers,
        )
        _composers[key] = Composer(spec, _CAMPAIGN, ["a", "b"])
    return _composers[key]


def _value(choices: Choices) -> object:
    turn = choices.number(0, 15)
    if turn == 0:
        return choices.pick((None, True, 0, -1, 1.5, 10**18))
    if turn == 1:
        return boundary(b"%d" % _CAMPAIGN).decode()[choices.number(0, 3) :]
    return nasty.text(choices, 8)


def _meant(value: object) -> str:
    text = re.sub("\r\n|[\r\v\f\x85\u2028\u2029]", "\n", str(value))
    text = re.sub("[\x00-\x08\x0e-\x1f\x7f-\x9f]", "", text)
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


def _filled(template: str, values: dict[str, str]) -> str:
    return re.sub(r"{{ (\w) }}", lambda hole: values[hole[1]], template)


def _line(text: str) -> str:
    return re.sub("[\t\n]+", " ", text).strip(" ")


def _escaped(text: str) -> str:
    return html.escape(text).replace("&quot;", "&#34;").replace("&#x27;", "&#39;")


def _check_wire(composed: Composed, eight_bit: bool) -> None:
    wire = composed.message
    assert wire.endswith(b"\r\n.\r\n")
    assert wire.find(b"\r\n.\r\n") == len(wire) - 5, "it ends before its end"
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n|\0", wire)
    assert max(map(len, wire.split(b"\r\n"))) <= 999  # with a stuffed dot
    assert composed.eight_bit == (not wire.isascii())
    assert eight_bit or not composed.eight_bit


def _content(composed: Composed) -> bytes:
    return re.sub(rb"(?m)^\.", b"", composed.message.removesuffix(b".\r\n"))
