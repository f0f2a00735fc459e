"""String literals for statements that are written as text."""

import re
from typing import Final

_ESCAPED: Final = re.compile(rb"\\(.)", re.DOTALL)
_MEANINGS: Final = {b"0": b"\0", b"Z": b"\x1a"}


def escape(text: str) -> str:
    """What stands between the single quotes of a literal that means `text`.

    Correct for connections in utf8mb4 whose sql_mode has no NO_BACKSLASH_ESCAPES, as `db.SESSION`
    sets them up: there only the backslash and the delimiter mean something else.
    """
    return text.replace("\\", "\\\\").replace("'", "\\'")


def unescape(quoted: bytes) -> bytes:
    """What stands between the single quotes of the server's own QUOTE(), in UTF-8, unquoted."""
    if b"\\" not in quoted:
        return quoted
    return _ESCAPED.sub(lambda found: _MEANINGS.get(found[1], found[1]), quoted)
