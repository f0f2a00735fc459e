"""Reads JSON that anybody may have sent: the wrong type is the same as absent, text is cut."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from campaignd.web.webhooks.notice import malformed

MAX_TEXT: Final = 2_000
"""Characters of one text that are looked at; headers and provider's explanations are shorter."""

MAX_ROWS: Final = 10_000
"""Entries of one list; a provider that batches sends some thousands in a request at most."""

_ENHANCED: Final = re.compile(r"(?<![\d.])[245]\.\d{1,3}\.\d{1,3}(?![\d.])")
_LONGEST_TIME: Final = 40  # characters


def parse(body: bytes | str) -> Any:
    """Raises Refused for what is no JSON, or is nested deeper than anything that is meant."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        raise malformed() from None


def table(value: object) -> dict[str, Any]:
    """A JSON object, or an empty one."""
    return value if isinstance(value, dict) else {}


def rows(value: object) -> Iterator[dict[str, Any]]:
    """The objects of a list."""
    entries = value if isinstance(value, list) else []
    return (entry for entry in entries[:MAX_ROWS] if isinstance(entry, dict))


def text(fields: dict[str, Any], name: str) -> str:
    """A text field, or an empty text."""
    value = fields.get(name)
    return value[:MAX_TEXT] if isinstance(value, str) else ""


def seconds(value: object, now: float) -> float:
    """Epoch seconds of a time in ISO 8601 or in seconds; `now` for what is neither."""
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value[:_LONGEST_TIME])
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError, OSError):
            return now
    return float(value) if isinstance(value, int | float) and value > 0 else now


def enhanced_in(*texts: str) -> str:
    """The first enhanced status code (RFC 3463) in the texts."""
    return next((found[0] for each in texts if (found := _ENHANCED.search(each))), "")
