"""Messages as `compose` makes them, of every shape that matters to a signature."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from campaignd.compose import CampaignSpec, Composed, Composer, date_header
from campaignd.compose.spec import Attached
from tests.unit.dkim.conftest import DOMAIN

SIGNED_AT: Final = int(time.time()) - 60
"""Seconds of the epoch: verifiers look at the time, and like none of the future."""


class Case(NamedTuple):
    """A campaign's content, and the merge values of one recipient."""

    spec: dict[str, Any]
    values: Sequence[str] = ()
    address: str = "bob@example.org"

    def composed(self) -> Composed:
        content: dict[str, Any] = {
            "name": "Spring",
            "account": "acme",
            "sender": f"Acme <news@{DOMAIN}>",
            "envelope_sender": f"bounces@{DOMAIN}",
            "subject": "Hi",
            "text": "Hello\n",
        }
        fields = [f"field{number}" for number in range(len(self.values))]
        composer = Composer(CampaignSpec(**{**content, **self.spec}), 1, fields)
        return composer.compose(
            0, 1, self.address, self.values, date=date_header(SIGNED_AT), eight_bit=False
        )


HTML: Final = "<html>\n<p>Hello   {{ field0 }},</p>\n\t<p>spring\tis here. </p></html>\n"
FILE: Final = Attached(name="a", type="application/octet-stream", data=bytes(range(256)) * 200)

CASES: Final = {
    "plain": Case({}),
    "empty": Case({"text": ""}),
    "blank lines only": Case({"text": "\n\n\n"}),
    "trailing blank lines": Case({"text": "Hello\n\n \n\t\n\n"}),
    "no line end": Case({"text": "Hello   "}),
    "white space": Case({"text": " a  b \n\tc\t \n\n  \nd" + " " * 300 + "e\n"}),
    "dots": Case({"text": ".\n..\n.a\n\n.\n"}),
    "dot first": Case({"text": ".bashrc"}),
    "multipart": Case({"text": "Hello {{ field0 }}\n", "html": HTML}, ["Bob"]),
    "UTF-8 names": Case(
        {"sender": f"Gärtnerei Łódź <news@{DOMAIN}>", "subject": "Grüße, {{ field0 }} \U0001f33b"},
        ["Zoë"],
    ),
    "long folded headers": Case(
        {
            "subject": "{{ field0 }}  and   {{ field0 }}",
            "headers": {"List-Unsubscribe": f"<https://links.{DOMAIN}/" + "x" * 300 + ">"},
        },
        ["spring " * 60],
    ),
    "list headers": Case(
        {
            "reply_to": f"Ask us <ask@{DOMAIN}>",
            "headers": {
                "List-Unsubscribe": f"<https://links.{DOMAIN}/u/1>, <mailto:u@{DOMAIN}>",
                "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
                "List-Id": f"Spring <spring.{DOMAIN}>",
                "Feedback-ID": "1:acme:campaignd",
                "Precedence": "bulk",
                "X-Empty": "",
            },
        }
    ),
    "eight-bit body": Case({"text": "Grüße. \n" * 50, "html": "<p>Grüße\u00a0 </p>\n" * 50}),
    "base64 body": Case({"text": "Спасибо большое \n" * 50}),
    "UTF-8 address": Case({}, address="Zoë@example.org"),
    "file in common": Case(
        {
            "html": HTML + "<p>a \n</p>  \n \n  ",  # white space up to where the tail begins
            "attachments": (FILE,),
        },
        ["Bob"],
    ),
}


def content(message: bytes) -> bytes:
    """What a receiver sees of a message on the wire."""
    lines = message.split(b"\r\n")
    end = lines.index(b".")
    return b"".join(line.removeprefix(b".") + b"\r\n" for line in lines[:end])
