"""Recipient to wire bytes: a campaign compiled once, its holes filled for each recipient.

`Composer.compose` is the hot path. It must never let a value out of its place: a header's value
has no CR or LF of its own (`headers`), a body has no boundary, no line over 998 octets
(`encoding`) and no dot that ends it.
"""

from __future__ import annotations

from collections.abc import Sequence
from email import message_from_bytes
from email.policy import default as reading_policy
from hashlib import blake2b
from typing import Final, NamedTuple

from campaignd.compose import text
from campaignd.compose.codegen import Form
from campaignd.compose.columns import Columns
from campaignd.compose.encoding import (
    BASE64,
    EIGHT_BIT,
    base64_lines,
    canonical,
    encode,
    for_data,
    stuffed,
)
from campaignd.compose.head import Head
from campaignd.compose.headers import date_header, mailbox, recipient, unstructured
from campaignd.compose.links import MERGE_FIELDS, CampaignLinks, Links
from campaignd.compose.meter import MAX_OUTPUT_CHARACTERS, Overrun
from campaignd.compose.mime import Skeleton, boundary
from campaignd.compose.preheader import with_preheader
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

SHARED_OCTETS: Final = 16_384
"""From this size on the end of a message, files mostly, is not copied into each."""


class Composed(NamedTuple):
    """A message for one recipient, in two pieces that go over the wire one after the other."""

    message: bytes
    """Header and body with CRLF line ends, dot-stuffed."""
    eight_bit: bool
    """Whether it has octets above 127: its session must offer 8BITMIME."""
    smtputf8: bool
    """Whether its session must offer SMTPUTF8: the address is not ASCII."""
    sender: bytes
    """The envelope's, for MAIL."""
    tail: bytes
    """The rest, which all messages of the campaign share; often empty. The last octets of the
    whole are CRLF.CRLF."""

    @property
    def wire(self) -> bytes:
        """The whole, as DATA carries it."""
        return self.message + self.tail


class Composer:
    """A compiled campaign. `fields` are the audience's columns, without `email`.

    Raises TemplateError, naming file, line and part, when a template cannot be compiled, uses a
    column or a link that does not exist, or cannot end within its bounds.
    """

    def __init__(
        self,
        spec: CampaignSpec,
        campaign_id: int,
        fields: Sequence[str],
        links: Links | None = None,
    ) -> None:
        self._sources = spec.sources
        self._links = CampaignLinks(links, campaign_id, spec)
        self._columns = Columns(fields, MERGE_FIELDS, self._links.unusable)
        self._templates: list[Template] = []
        name, address = split_mailbox(spec.sender)
        domain = address.rpartition("@")[2].encode("ascii")
        self._after_id = b"@" + domain + b">\r\nTo: "
        self._id_hash = blake2b(b"%d" % campaign_id, digest_size=16, person=b"message-id")
        head = Head()
        head.add("From", self._compile(name, "from", HEADER), address.encode("ascii"))
        if spec.reply_to is not None:
            reply_name, reply_address = split_mailbox(spec.reply_to)
            template = self._compile(reply_name, "reply_to", HEADER)
            head.add("Reply-To", template, reply_address.encode("ascii"))
        head.add("Subject", self._compile(spec.subject, "subject", HEADER))
        for header, value in spec.headers.items():
            head.add(header, self._compile(value, f"header {header}", HEADER))
        self._holes = head.holes
        self._fixed = head.fixed + self._links.fixed + b"Date: "
        self._to_name: Template | None = None
        if spec.to_name is not None:
            self._to_name = self._compile(spec.to_name, "to_name", HEADER)
        self._html: Template | None = None
        if spec.html is not None:
            source = spec.html
            if spec.preheader is not None:
                self._compile(spec.preheader, "preheader", HTML)  # for its errors' places
                source = with_preheader(source, spec.preheader)
            self._html = self._compile(source, "html", HTML)
            self._html_of_plain = self._compile(source, "html", HTML_OF_PLAIN_FIELDS)
        self._text = self._text_template(spec)
        self._subtypes = ("plain",) if self._html is None else ("plain", "html")
        self._set_skeleton(spec, campaign_id)
        self._links.settle(self._columns.ours_used)
        self._reader = RowReader(self._columns)
        self._try(len(spec.inline) + len(spec.attachments))

    def _set_skeleton(self, spec: CampaignSpec, campaign_id: int) -> None:
        skeleton = Skeleton(
            self._subtypes,
            boundary(b"%d" % campaign_id),
            inline=spec.inline,
            attachments=spec.attachments,
        )
        self._before = skeleton.parts[0]
        self._between = skeleton.parts[-1]
        self._boundary = skeleton.boundary
        self._is_multipart = bool(skeleton.tail)
        self._end, self._tail, self._bare_tail = skeleton.tail, b"", b""
        if len(skeleton.tail) >= SHARED_OCTETS:
            self._end, self._tail = b"", for_data(skeleton.tail)
            self._bare_tail = for_data(skeleton.bare_tail)

    @property
    def shared_octets(self) -> int:
        """Of memory that the campaign's files take, whatever the number of messages."""
        return len(self._tail)

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
        to, smtputf8 = recipient(address)
        links = self._links
        header, sender, url, token = links.constant or links.marks(shard, seq)
        row = self._reader.read((address, url, token), values)
        digest = self._id_hash.copy()
        digest.update(b".%d.%d" % (shard, seq))
        html: str | None = None
        try:
            if self._to_name is not None:
                to = mailbox(self._to_name.render(row.values), to, "To")
            head = [
                self._fixed,
                date,
                b"\r\nMessage-ID: <",
                digest.hexdigest().encode(),
                self._after_id,
                to,
                b"\r\n",
                header,
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
        encoding, body = encode(plain, eight_bit=eight_bit)
        if self._is_multipart and self._boundary in body:
            encoding, body = BASE64, base64_lines(plain.encode())
        head += (self._before[encoding], body)
        is_eight_bit = smtputf8 or encoding is EIGHT_BIT
        if html is not None:
            encoding, body = encode(html, eight_bit=eight_bit)
            if self._boundary in body:
                encoding, body = BASE64, base64_lines(html.encode())
            head += (self._between[encoding], body)
            is_eight_bit = is_eight_bit or encoding is EIGHT_BIT
        tail = self._tail
        if tail:
            message = stuffed(b"".join(head))
        else:
            head.append(self._end)
            message = for_data(b"".join(head))
        return Composed(message, is_eight_bit, smtputf8, sender, tail)

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

    def _try(self, files: int) -> None:
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
        wire = composed.message + self._bare_tail
        message = message_from_bytes(wire, policy=reading_policy)
        parts = [part for part in message.walk() if not part.is_multipart()]
        subtypes = tuple(part.get_content_subtype() for part in parts[: len(self._subtypes)])
        defects = [defect for part in message.walk() for defect in part.defects]
        if subtypes != self._subtypes or len(parts) != len(subtypes) + files or defects:
            raise AssertionError(f"composed {subtypes} with {defects}")


def _render(template: Template, row: Row) -> str:
    """A body, with CRLF line breaks."""
    body = template.render(row.values)
    if row.has_breaks or template.inexact:
        body = canonical(body, inexact=template.inexact)
    if len(body) > MAX_OUTPUT_CHARACTERS:
        raise Overrun(f"{template.origin.part} has more than {MAX_OUTPUT_CHARACTERS} characters")
    return body
