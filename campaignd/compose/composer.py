"""Recipient to wire bytes: a campaign compiled once, its holes filled for each recipient.

`Composer.compose` is the hot path. It must never let a value out of its place: a header's value
has no CR or LF of its own (`headers`), a body has no boundary, no line over 998 octets
(`encoding`) and no dot that ends it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from email import message_from_bytes
from email.policy import default as reading_policy
from hashlib import blake2b
from typing import Final, NamedTuple

from campaignd.compose import text
from campaignd.compose.codegen import Form
from campaignd.compose.columns import Columns
from campaignd.compose.encoding import EIGHT_BIT, canonical, encode, for_data
from campaignd.compose.headers import date_header, mailbox, unstructured
from campaignd.compose.meter import MAX_OUTPUT_CHARACTERS, Overrun
from campaignd.compose.mime import Skeleton, boundary
from campaignd.compose.row import Row, RowReader
from campaignd.compose.spec import CampaignSpec, Source, split_mailbox
from campaignd.compose.template import (
    DERIVED_TEXT,
    HEADER,
    HTML,
    HTML_OF_PLAIN_FIELDS,
    RENDER_ERRORS,
    TEXT,
    Origin,
    Template,
    compile_template,
    explain,
)
from campaignd.errors import RowError, TemplateError

_PLAIN_ADDRESS: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+@[A-Za-z0-9.-]+")
_QUOTED_ADDRESS: Final = re.compile(r'"(?:[^"\\<>\s\x00-\x20\x7f]|\\[!-~])+"@[A-Za-z0-9.-]+')
_BEYOND_ASCII: Final = r"[^\x00-\xa0\s\u2028\u2029\ud800-\udfff]"
_UTF8_ADDRESS: Final = re.compile(
    rf"(?:(?:[A-Za-z0-9!#$%&'*+/=?^_`{{|}}~.-]|{_BEYOND_ASCII})+"
    rf'|"(?:[!#-;=?-\[\]-~]|{_BEYOND_ASCII}|\\(?:[!-;=?-~]|{_BEYOND_ASCII}))+")'
    r"@[A-Za-z0-9.-]+"
)


class Composed(NamedTuple):
    """A message for one recipient."""

    message: bytes
    """Header and body with CRLF line ends, dot-stuffed, ending in CRLF.CRLF."""
    eight_bit: bool
    """Whether it has octets above 127: its session must offer 8BITMIME."""
    smtputf8: bool
    """Whether its session must offer SMTPUTF8: the address is not ASCII."""


class _Hole(NamedTuple):
    """A header field whose value differs between recipients."""

    name: str
    start: bytes
    template: Template
    address: bytes
    """Of a mailbox whose display name the template makes; empty for unstructured fields."""


class Composer:
    """A compiled campaign. `fields` are the audience's columns, without `email`.

    Raises TemplateError, naming file, line and part, when a template cannot be compiled, uses a
    column that does not exist, or cannot end within its bounds.
    """

    def __init__(self, spec: CampaignSpec, campaign_id: int, fields: Sequence[str]) -> None:
        self._sources = spec.sources
        self._columns = Columns(fields)
        self._templates: list[Template] = []
        name, address = split_mailbox(spec.sender)
        self.envelope_sender = spec.envelope_sender.encode("ascii")
        """For MAIL."""
        domain = address.rpartition("@")[2].encode("ascii")
        self._after_id = b"@" + domain + b">\r\nTo: "
        self._id_hash = blake2b(b"%d" % campaign_id, digest_size=16, person=b"message-id")
        self._fixed = b""
        self._holes: list[_Hole] = []
        self._header("From", name, "from", address.encode("ascii"))
        if spec.reply_to is not None:
            reply_name, reply_address = split_mailbox(spec.reply_to)
            self._header("Reply-To", reply_name, "reply_to", reply_address.encode("ascii"))
        self._header("Subject", spec.subject, "subject")
        for header, value in spec.headers.items():
            self._header(header, value, f"header {header}")
        self._html: Template | None = None
        if spec.html is not None:
            self._html = self._compile(spec.html, "html", HTML)
            self._html_of_plain = self._compile(spec.html, "html", HTML_OF_PLAIN_FIELDS)
        self._text = self._text_template(spec)
        self._subtypes = ("plain",) if self._html is None else ("plain", "html")
        self._skeleton = Skeleton(self._subtypes, boundary(b"%d" % campaign_id))
        self._fixed += b"Date: "
        self._reader = RowReader(self._columns)
        self._try()

    def compose(
        self,
        shard: int,
        seq: int,
        address: str,
        values: Sequence[object],
        *,
        date: bytes,
        eight_bit: bool,
    ) -> Composed:
        """The message for one recipient.

        `address` is valid, its domain in ASCII. `values` are JSON scalars in the order of the
        audience's columns; None, or none at all, is a missing field. `date` comes from
        `headers.date_header`. `eight_bit` allows 8bit bodies (RFC 6152).
        Raises RowError, whose text is the reason, and nothing else.
        """
        to, smtputf8 = _recipient(address)
        row = self._reader.read(address, values)
        digest = self._id_hash.copy()
        digest.update(b".%d.%d" % (shard, seq))
        message_id = digest.hexdigest().encode()
        html: str | None = None
        rest: tuple[bytes, ...]
        try:
            head = [
                self._fixed,
                date,
                b"\r\nMessage-ID: <",
                message_id,
                self._after_id,
                to,
                b"\r\n",
            ]
            for name, start, template, own_address in self._holes:
                value = template.render(row.values)
                head.append(start)
                head.append(
                    mailbox(value, own_address, name) if own_address else unstructured(value, name)
                )
                head.append(b"\r\n")
            # HTML first: a text that is derived from it has no lines of its own to name.
            if self._html is not None:
                html = _render(self._html if row.has_specials else self._html_of_plain, row)
            plain = _render(self._text, row)
        except RENDER_ERRORS as error:
            raise RowError(explain(error, self._templates)) from error
        skeleton = self._skeleton
        encoding, body = encode(plain, eight_bit=eight_bit)
        is_eight_bit = smtputf8 or encoding is EIGHT_BIT
        if html is None:
            rest = (skeleton.parts[0][encoding], body)
        else:
            html_encoding, html_body = encode(html, eight_bit=eight_bit)
            is_eight_bit = is_eight_bit or html_encoding is EIGHT_BIT
            if skeleton.boundary in body or skeleton.boundary in html_body:
                skeleton = self._other_skeleton(message_id, body, html_body)
            before, between = skeleton.parts
            rest = (before[encoding], body, between[html_encoding], html_body, skeleton.end)
        return Composed(for_data(b"".join((*head, *rest))), is_eight_bit, smtputf8)

    def _other_skeleton(self, message_id: bytes, *bodies: bytes) -> Skeleton:
        """For a body that has the campaign's boundary in it, by whatever design."""
        seed = message_id
        while any(boundary(seed) in body for body in bodies):
            seed += b"."
        return Skeleton(self._subtypes, boundary(seed))

    def _header(self, name: str, source: str, part: str, address: bytes = b"") -> None:
        template = self._compile(source, part, HEADER)
        if template.constant is None:
            self._holes.append(_Hole(name, f"{name}: ".encode("ascii"), template, address))
            return
        try:
            value = (
                mailbox(template.constant, address, name)
                if address
                else unstructured(template.constant, name)
            )
        except RowError as error:
            raise TemplateError(f"{template.origin.locate(1)}: {error}") from None
        self._fixed += b"%s: %s\r\n" % (name.encode("ascii"), value)

    def _compile(self, source: str, part: str, form: Form) -> Template:
        place = self._sources.get(part, Source("campaign"))
        origin = Origin(part, place.file, place.line)
        template = compile_template(source, origin, self._columns, form)
        self._templates.append(template)
        return template

    def _text_template(self, spec: CampaignSpec) -> Template:
        if spec.text is not None:
            return self._compile(spec.text, "text", TEXT)
        try:
            derived = text.derive(spec.html or "")
            return self._compile(derived, "html", DERIVED_TEXT)
        except TemplateError as error:
            raise TemplateError(
                f'{error} (in the text derived from the HTML: add text = "FILE" to the campaign)'
            ) from None

    def _try(self) -> None:
        """Composes once with each column's name for its value. What is out of bounds here is so
        for most recipients; other errors may be the placeholders'. Then checks the MIME
        structure with the standard library."""
        placeholders = [name for name in self._columns.names if name != "email"]
        try:
            composed = self.compose(
                0, 0, "user@example.com", placeholders, date=date_header(0.0), eight_bit=True
            )
        except RowError as error:
            if isinstance(error.__cause__, Overrun):
                raise TemplateError(str(error)) from None
            return
        message = message_from_bytes(composed.message, policy=reading_policy)
        parts = [part for part in message.walk() if not part.is_multipart()]
        subtypes = tuple(part.get_content_subtype() for part in parts)
        defects = [defect for part in message.walk() for defect in part.defects]
        if subtypes != self._subtypes or defects:
            raise AssertionError(f"composed {subtypes} with {defects}")


def _render(template: Template, row: Row) -> str:
    """A body, with CRLF line breaks."""
    body = template.render(row.values)
    if row.has_breaks or template.inexact:
        body = canonical(body, inexact=template.inexact)
    if len(body) > MAX_OUTPUT_CHARACTERS:
        raise Overrun(f"{template.origin.part} has more than {MAX_OUTPUT_CHARACTERS} characters")
    return body


def _recipient(address: str) -> tuple[bytes, bool]:
    """The address for `To`, and whether it needs SMTPUTF8. Raises RowError for what could be
    more, or other, than one address there."""
    if _PLAIN_ADDRESS.fullmatch(address) and "=?" not in address:
        return address.encode("ascii"), False
    if address.isascii() and _QUOTED_ADDRESS.fullmatch(address):
        return address.encode("ascii"), False
    if not address.isascii() and _UTF8_ADDRESS.fullmatch(address):
        return address.encode("utf-8"), True
    raise RowError("its address cannot stand in a header")
