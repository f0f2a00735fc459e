"""Makes recipients of rows: checks addresses, drops duplicates, encodes merge values. Pure."""

from __future__ import annotations

from typing import Final, NamedTuple

import orjson

from campaignd.audience.address import parse_address
from campaignd.audience.rows import Reject, Rows
from campaignd.errors import RowError
from campaignd.store.audience import Recipient

FIELDS_OCTETS: Final = 32_768
"""Most that the merge values of one recipient may take as JSON. A window of them has to fit
into memory and into one packet of the server."""

DUPLICATE: Final = "duplicate of an earlier row"
FIELDS_TOO_LONG: Final = f"the merge fields are longer than {FIELDS_OCTETS // 1024} KB"


class Prepared(NamedTuple):
    """What some rows of the input come to."""

    recipients: dict[bytes, Recipient]
    """By address key, in the order of the input."""
    rejects: list[Reject]
    duplicates: list[Reject]
    rows: int
    """Input rows that this accounts for."""


def prepare(rows: Rows) -> Prepared:
    """Checks rows; duplicates are found among these rows only."""
    recipients: dict[bytes, Recipient] = {}
    rejects = list(rows.rejects)
    duplicates = []
    dumps = orjson.dumps
    for line, email, values in zip(rows.lines, rows.emails, rows.values, strict=True):
        try:
            mailbox, key, _ = parse_address(email)
        except RowError as error:
            rejects.append(Reject(line, email[:320], str(error)))
            continue
        fields = dumps(values)
        if len(fields) > FIELDS_OCTETS:
            rejects.append(Reject(line, mailbox, FIELDS_TOO_LONG))
        elif key in recipients:
            duplicates.append(Reject(line, mailbox, DUPLICATE))
        else:
            recipients[key] = (line, key, mailbox, fields)
    return Prepared(recipients, rejects, duplicates, rows.size)
