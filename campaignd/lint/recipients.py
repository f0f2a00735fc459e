"""Composes the campaign for every recipient of a file and tells what some of them would miss.

Memory stays flat: a few line numbers are kept for each kind of trouble.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from email import message_from_bytes
from email.policy import default as reading
from typing import Any, Final

import msgspec
import orjson

from campaignd.audience.jsonl_rows import JsonlReader
from campaignd.audience.prepare import prepare
from campaignd.audience.rows import RowReader, Rows
from campaignd.audience.source import FileSource, opened
from campaignd.compose.composer import Composed, Composer
from campaignd.compose.links import Links
from campaignd.compose.spec import CampaignSpec
from campaignd.compose.template import Origin
from campaignd.errors import RowError, UsageError
from campaignd.lint.content import CLIPPED_OCTETS, size
from campaignd.lint.rules import (
    EMPTY_FIELD,
    NO_SUBJECT,
    ROW_REJECTED,
    ROW_UNUSABLE,
    Finding,
)
from campaignd.lint.source import bare, is_blank, sources
from campaignd.lint.tally import Tally
from campaignd.wording import plural

MEASURED_MOST: Final = 100
"""Messages with too large an HTML after which none is measured: each has to be taken apart, which
takes a millisecond."""

_DATE: Final = b"Thu, 01 Jan 1970 00:00:00 +0000"
_NO_SUBJECT: Final = b"\r\nSubject: \r\n"


async def recipients(spec: CampaignSpec, source: FileSource, links: Links | None) -> list[Finding]:
    """Raises TemplateError if the templates use a column that the file does not have, and
    UsageError if it cannot be read."""
    fields = await _fields(source)
    trial = _Trial(spec, fields, links)
    async for rows in _read(source, source.reader(list(fields))):
        trial.add(rows)
    return trial.findings(source.label)


class _Trial:
    """A campaign that is composed for recipients one after the other."""

    def __init__(self, spec: CampaignSpec, fields: Sequence[str], links: Links | None) -> None:
        # Files are the same for all: to compose them for each would only cost time.
        without_files = msgspec.structs.replace(spec, attachments=[], inline=[])
        self._composer = Composer(without_files, 0, fields, links)
        shown = set().union(*(bare(source, Origin("", "")) for source in sources(spec)))
        self._shown = [(name, at) for at, name in enumerate(fields) if name in shown]
        """Name and column of what leaves a gap when it is empty."""
        self._has_subject = not is_blank(spec.subject, Origin("", ""))
        """One that nobody gets is told without recipients."""
        self._tally = Tally()
        self._too_large = self._largest = 0

    def add(self, rows: Rows) -> None:
        self._tally.total += rows.size
        prepared = prepare(rows)
        for reject in prepared.rejects:
            self._tally.add(ROW_UNUSABLE, f"cannot be used: {reject.reason}", reject.line)
        for line, _, address, encoded in prepared.recipients.values():
            values = orjson.loads(encoded)
            try:
                composed = self._composer.compose(
                    0, 1, address, values, date=_DATE, eight_bit=False
                )
            except RowError as error:
                reason = f"would be rejected: {error}: mend the row, or give the field a default"
                self._tally.add(ROW_REJECTED, reason, line)
            else:
                self._look(composed, values, line)

    def findings(self, file: str) -> list[Finding]:
        found = self._tally.findings(file)
        if self._too_large:
            who = plural(self._too_large, "recipient")
            if self._too_large == MEASURED_MOST:
                who = f"at least {who}"
            found.append(size(self._largest, file, f"{who} would get up to "))
        return found

    def _look(self, composed: Composed, values: Sequence[Any], line: int) -> None:
        for name, at in self._shown:
            if at < len(values) and values[at] == "":
                better = f'{{{{ {name} | default("WORDS", true) }}}}'
                self._tally.add(EMPTY_FIELD, f"have nothing in {name}: write {better}", line)
        message = composed.message
        if self._has_subject and _NO_SUBJECT in message[: message.index(b"\r\n\r\n")]:
            self._tally.add(NO_SUBJECT, "would get no subject: give its fields a default", line)
        if len(message) > CLIPPED_OCTETS and self._too_large < MEASURED_MOST:
            octets = html_octets(composed.wire)
            self._too_large += octets > CLIPPED_OCTETS
            self._largest = max(self._largest, octets)


def html_octets(message: bytes) -> int:
    """The size of a message's HTML, decoded, in octets; 0 if it has none."""
    for part in message_from_bytes(message, policy=reading).walk():
        if part.get_content_type() == "text/html":
            payload = part.get_payload(decode=True)
            return len(payload) if isinstance(payload, bytes) else 0
    return 0


async def _fields(source: FileSource) -> Sequence[str]:
    """All columns. JSON Lines have to be read to their end for that."""
    reader = source.reader([])
    async with aclosing(_read(source, reader)) as read:
        async for _ in read:
            if reader.fields and not isinstance(reader, JsonlReader):
                break
    return list(reader.fields)


async def _read(source: FileSource, reader: RowReader) -> AsyncGenerator[Rows, None]:
    if source.path == "-":
        raise UsageError("--recipients: lint reads them twice: name a file")
    with opened(source) as data:
        while piece := await data.read():
            yield reader.feed(piece)
        yield reader.finish()
