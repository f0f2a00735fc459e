"""Campaign files and their templates: used or refused with one line, bound to their folder."""

from __future__ import annotations

import tempfile
from pathlib import Path

from campaignd.compose import Composer, date_header, decode_spec, encode_spec, load_campaign
from campaignd.compose.links import Links
from campaignd.errors import CampaignError, RowError
from campaignd.tokens import TokenKeys
from tests.fuzz import nasty
from tests.fuzz.choices import Choices

_KEYS = [
    "name",
    "account",
    "from",
    "subject",
    "html",
    "text",
    "reply_to",
    "to_name",
    "preheader",
    "inline_css",
    "transactional",
    "attachments",
    "inline",
    "envelope_sender",
    "unknown",
    "retry.first",
    "retry.factor",
    "retry.longest",
    "retry.expire",
    "headers.X-A",
    "headers.Bcc",
    "headers.'a b'",
    "x",
]
_VALUES = (
    '"a"',
    '"Spring"',
    '"Acme <news@acme.example>"',
    '"{{ a }} <news@acme.example>"',
    '"\\"A\\" <news@münchen.example>"',
    '"a@b, c@d"',
    '"x\\r\\nBcc: e@e"',
    '"Hi {{ a }}"',
    '"{{ a"',
    '"t.html"',
    '"t.txt"',
    '"../t.html"',
    '"/etc/passwd"',
    '"link"',
    '"."',
    '""',
    '"\\u0000"',
    '"5m"',
    '"4h"',
    '"9999d"',
    "1",
    "nan",
    "inf",
    "-1",
    "true",
    "9" * 5_000,
    "[" * 2_000,
    "{}",
    '"{{ unsubscribe_url }}"',
    '[{file = "t.txt"}]',
    '[{file = "t.html", name = "a/b", type = "x/y; z=1"}]',
    '[{file = "link"}]',
    '[{file = "l.png", cid = "l"}]',
    '"keep"',
)
_BASE = 'name = "n"\naccount = "a"\nfrom = "A <news@acme.example>"\nsubject = "Hi {{ a }}"\n'
_folder = tempfile.TemporaryDirectory(prefix="campaignd-fuzz-")
_FOLDER = Path(_folder.name)
(_FOLDER / "link").symlink_to("/etc/passwd")
(_FOLDER / "l.png").write_bytes(b"png")
_LINKS = Links(TokenKeys([b"k" * 32]), "https://l.example", "b.example")


def run(data: bytes) -> None:
    choices = Choices(data)
    (_FOLDER / "t.html").write_bytes(choices.octets(80) if choices.flag() else b"<p>{{ a }}</p>")
    (_FOLDER / "t.txt").write_bytes(choices.octets(80) if choices.flag() else b"{{ a }}\n")
    if choices.flag():
        toml = choices.rest()
    else:
        toml = _document(choices).encode("utf-8", "surrogateescape")
    path = _FOLDER / "c.toml"
    path.write_bytes(toml)
    try:
        spec = load_campaign(path)
        assert decode_spec(encode_spec(spec)) == spec
        assert b"root:" not in encode_spec(spec), "read a file outside of its folder"
        assert all(not file.data.startswith(b"root:") for file in spec.attachments)
        composer = Composer(spec, 1, ["a", "b"], _LINKS if choices.flag() else None)
    except CampaignError as error:
        assert str(error)
        assert len(str(error).splitlines()) == 1, str(error)
        return
    values = [nasty.text(choices), nasty.text(choices)]
    try:
        composer.compose(
            0, 1, "u@x.example", values, date=date_header(0.0), eight_bit=choices.flag()
        )
    except RowError as error:
        assert len(str(error).splitlines()) == 1, str(error)


def _document(choices: Choices) -> str:
    lines = [_BASE] if choices.flag() else []
    if choices.flag():
        lines.append(choices.pick(('html = "t.html"', 'text = "t.txt"')))
    while choices.more():
        turn = choices.number(0, 7)
        if turn:
            lines.append(f"{choices.pick(_KEYS)} = {choices.pick(_VALUES)}")
        else:
            lines.append(choices.text(40))
    return "\n".join(lines)
