"""Takes a message apart as far as reports need it, in bounded time and memory.

The standard library's parser builds a tree of everything, in time that grows with the depth of
nesting times the number of lines (10 s for a megabyte at depth 300) and fails on the deepest. A
report is flat and its parts are few, so what is deeper or more than that is left alone; work is
linear in the octets (60 ms for the worst megabyte that we know).
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from email.message import Message
from typing import Final, NamedTuple

MAX_OCTETS: Final = 1_000_000
"""Of a message: what reports say stands before the message that they return."""
MAX_PARTS: Final = 20
MAX_ENTITIES: Final = 2 * MAX_PARTS
"""Parts, and multiparts, which may be without any."""
MAX_DEPTH: Final = 4
"""A report has three parts at depth 1; mailing lists and scanners wrap it once or twice more."""
MAX_HEADER_OCTETS: Final = 65_536
MAX_FIELDS: Final = 500
MAX_TEXT_OCTETS: Final = 65_536
"""Of a part's body that are looked at: reports are short, and say what matters first."""
_MAX_TYPE: Final = 1_000
"""Characters of a Content-Type that are parsed."""

_HEADER_END: Final = re.compile(rb"\A\n|\n\n")
_FOLD: Final = re.compile(r"\n[ \t]+")
_BASE64: Final = re.compile(rb"[^A-Za-z0-9+/]+")


class Fields(NamedTuple):
    """The fields of a header, or of one group of a report, in order. Names are in lower case."""

    all: tuple[tuple[str, str], ...]

    def get(self, name: str) -> str:
        """The first field with this name, or an empty string."""
        return next((value for key, value in self.all if key == name), "")

    def has(self, name: str) -> bool:
        return any(key == name for key, _ in self.all)


class Part(NamedTuple):
    """A leaf of a message: nothing in it is parsed further, a message within it neither."""

    kind: str
    """The content type, such as `message/delivery-status`."""
    encoding: str
    raw: bytes
    """Encoded, with bare LF at the ends of lines."""

    def text(self) -> str:
        """The first MAX_TEXT_OCTETS of it, decoded."""
        raw = self.raw
        if self.encoding == "base64":
            digits = _BASE64.sub(b"", raw[: 2 * MAX_TEXT_OCTETS])
            if len(digits) % 4 == 1:  # says nothing yet
                digits = digits[:-1]
            raw = binascii.a2b_base64(digits + b"==").replace(b"\r\n", b"\n")
        elif self.encoding == "quoted-printable":
            raw = binascii.a2b_qp(raw[: 3 * MAX_TEXT_OCTETS])
        return raw[:MAX_TEXT_OCTETS].decode("utf-8", "replace")


class Content(NamedTuple):
    """A message."""

    header: Fields
    kind: str
    report_type: str
    """The parameter of multipart/report (RFC 6522), in lower case."""
    parts: list[Part]

    def first(self, *kinds: str) -> Part | None:
        """The first part of one of these types."""
        return next((part for part in self.parts if part.kind in kinds), None)

    def originals(self) -> Iterator[str]:
        """The headers of the messages that are returned in it."""
        for part in self.parts:
            if part.kind in _RETURNED:
                text = part.text()
                end = text.find("\n\n")
                yield text if end < 0 or part.kind not in _WHOLE else text[:end]


_WHOLE: Final = frozenset({"message/rfc822", "message/global"})
_RETURNED: Final = _WHOLE | {"text/rfc822-headers", "message/global-headers"}


def read(message: bytes) -> Content:
    """Takes apart a message of any kind. Never fails."""
    data = message[:MAX_OCTETS].replace(b"\r\n", b"\n")
    header, _ = split(data)
    kind, parameters = content_type(header)
    return Content(header, kind, parameters.get("report-type", "").lower(), _leaves(data))


def split(data: bytes) -> tuple[Fields, bytes]:
    """Header fields and body of an entity with bare LF at the ends of lines."""
    end = _HEADER_END.search(data)
    head, body = (data[: end.start()], data[end.end() :]) if end else (data, b"")
    return fields(head[:MAX_HEADER_OCTETS].decode("utf-8", "replace")), body


def fields(block: str) -> Fields:
    """The fields of a block, unfolded (RFC 5322, 2.2.3). Lines that are no field are left out."""
    found = []
    for line in _FOLD.sub(" ", block).split("\n", MAX_FIELDS)[:MAX_FIELDS]:
        name, colon, value = line.partition(":")
        name = name.strip().lower()
        if colon and name and " " not in name:
            found.append((name, " ".join(value.split())))
    return Fields(tuple(found))


def content_type(header: Fields) -> tuple[str, dict[str, str]]:
    """The type, and those parameters that matter here; the standard library reads them."""
    parser = Message()
    parser["Content-Type"] = header.get("content-type")[:_MAX_TYPE] or "text/plain"
    try:
        parameters = {"boundary": parser.get_boundary("")}
        report_type = parser.get_param("report-type", "")
    except (TypeError, ValueError):  # parameters in pieces or charsets that make no sense
        return parser.get_content_type(), {"boundary": ""}
    if isinstance(report_type, str):
        parameters["report-type"] = report_type
    return parser.get_content_type(), parameters


def _leaves(data: bytes) -> list[Part]:
    """The leaves of a message, depth first, with a stack of our own."""
    parts: list[Part] = []
    waiting = [(0, data)]
    for _ in range(MAX_ENTITIES):
        if not waiting or len(parts) == MAX_PARTS:
            break
        depth, entity = waiting.pop()
        header, body = split(entity)
        kind, parameters = content_type(header)
        boundary = parameters["boundary"]
        if kind.startswith("multipart/") and boundary and depth < MAX_DEPTH:
            inner = _entities(body, boundary.encode("utf-8", "replace"))
            waiting += [(depth + 1, entity) for entity in reversed(inner)]
        else:
            parts.append(Part(kind, header.get("content-transfer-encoding").lower(), body))
    return parts


def _entities(body: bytes, boundary: bytes) -> list[bytes]:
    """The entities of a multipart body (RFC 2046, 5.1.1), MAX_PARTS of them at most."""
    delimiter = re.compile(rb"(?:\A|\n)--" + re.escape(boundary) + rb"(--)?[ \t]*(?:\n|\Z)")
    found: list[bytes] = []
    start = -1
    place = 0
    while len(found) < MAX_PARTS:
        match = delimiter.search(body, place)
        if start >= 0:
            found.append(body[start : match.start() if match else len(body)])
        if match is None or match[1]:
            break
        start = match.end()
        # The line end after a delimiter is also the one before the next.
        place = start - 1 if body[start - 1 : start] == b"\n" else start
    return found
