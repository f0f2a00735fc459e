"""What kind of refusal a reply is: the class that suppressions, brakes and people go by.

Pure: what it knows stands in `bounce_table`. It never says whether a message is tried again; that
is `classify`, which asks here where the words matter.
"""

from __future__ import annotations

from campaignd.smtp.bounce_class import SOFT, Bounce
from campaignd.smtp.bounce_table import BASIC, GENERAL, SPECIFIC, TEXT, Row
from campaignd.smtp.reply import MAX_TEXT

__all__ = ["SOFT", "Bounce", "classify", "row_for"]


def classify(code: int, enhanced: str, text: str) -> Bounce:
    """The class of a refusal: by its enhanced code first, by its text second, by its basic code
    last.

    `code` is 0 and `enhanced` is empty where there is none, as in a DSN without a reply. Looks at
    MAX_TEXT characters of the text, in time that is linear in them.
    """
    row = row_for(code, enhanced, text)
    return Bounce.UNCLASSIFIED if row is None else row.bounce


def row_for(code: int, enhanced: str, text: str) -> Row | None:
    """The row of the table that decides, if any does."""
    kind, _, status = enhanced.partition(".")
    kind = str(code)[0] if code else kind
    words = _words(text, enhanced)
    for rows in (SPECIFIC.get(status, ()), TEXT, GENERAL.get(status, ()), BASIC.get(code, ())):
        for row in rows:
            if (not row.kind or row.kind == kind) and row.says(words):
                return row
    return None


def _words(text: str, enhanced: str) -> str:
    """The text in lower case with single spaces, one at each end too. Left out are the enhanced
    code, which stands in every line of a reply, and addresses, which somebody has chosen."""
    plain = text[:MAX_TEXT].lower()
    if enhanced:
        plain = plain.replace(enhanced, " ")
    return f" {' '.join([word for word in plain.split() if '@' not in word])} "
