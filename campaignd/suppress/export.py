"""Writes a list of suppressions as CSV that `rows` reads back exactly and that no spreadsheet runs.

A column for each way to name what is suppressed, of which a row fills one.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from typing import Final

from campaignd.spreadsheet import cell
from campaignd.store.suppressions import Suppression
from campaignd.suppress.target import shown
from campaignd.wording import stamp

MEANINGS: Final = ("email", "domain", "md5", "sha256")
HEADER: Final = (",".join((*MEANINGS, "reason", "date", "note")) + "\n").encode()


def to_csv(entries: Iterable[Suppression]) -> bytes:
    """Rows in UTF-8, without the header."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    for entry in entries:
        meaning, value = shown(entry)
        named = [cell(value) if meaning == column else "" for column in MEANINGS]
        date = "" if entry.at is None else stamp(entry.at)
        writer.writerow((*named, entry.reason.label, date, cell(entry.note)))
    return text.getvalue().encode("utf-8", "replace")
