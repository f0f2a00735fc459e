"""Pieces of text that have broken mailers, templates and readers before."""

from __future__ import annotations

from typing import Final

from tests.fuzz.choices import Choices

PIECES: Final = (
    "",
    "Ada",
    " ",
    "\r\n",
    "\n",
    "\r",
    "\0",
    ".",
    "\r\n.\r\n",
    "\n.\n",
    "\r.\r",
    "\r\n..\r\n",
    "\r\nBcc: eve@evil.example\r\n",
    "\nMAIL FROM:<eve@evil.example>\n",
    "\r\n\r\n",
    "\r\nContent-Type: text/html\r\n\r\n<b>",
    "\r\n--=_0\r\n",
    "--",
    "=_",
    "=",
    "=\r\n",
    "=0D=0A",
    "=?utf-8?q?=0D=0ABcc:_x?=",
    "=?utf-8?b?DQo=?=",
    "=?",
    "?=",
    "\t",
    "\x0b",
    "\x0c",
    "\x1b[31m",
    "\x7f",
    "\x85",
    "\xa0",
    "\u2028",
    "\u2029",
    "\u202e",
    "\ufeff",
    "\ud800",
    "\udfff",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "\u0627\u0644\u0639",
    "é",
    "ß",
    "<",
    ">",
    "&",
    "'",
    '"',
    "\\",
    ",",
    ";",
    ":",
    "@",
    "(",
    ")",
    "<script>",
    "</p>",
    "<!--",
    "-->",
    "&#10;",
    "&#13;&#10;.&#13;&#10;",
    "&lt;",
    "%0d%0a",
    "%s",
    "%n",
    "{{ email }}",
    "{{ ''.__class__ }}",
    "{% include '/etc/passwd' %}",
    "{#",
    "{%",
    "}}",
    "x" * 75,
    "x" * 990,
    "ü" * 40,
    "1",
    "-0",
    "1e400",
    "nan",
    "9" * 25,
)


def text(choices: Choices, most: int = 6) -> str:
    """Some pieces, and what the fuzzer makes up."""
    parts = []
    for _ in range(choices.number(0, most)):
        if choices.flag():
            parts.append(choices.text(24))
        else:
            parts.append(choices.pick(PIECES))
    return "".join(parts)
