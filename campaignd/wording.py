"""How times and durations are put to people."""

from __future__ import annotations

import time
from typing import Final

_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def duration(seconds: float) -> str:
    """The two largest units that say something, such as `3 h 20 min`; never negative."""
    left = max(0, round(seconds))
    parts = []
    for size, unit in _UNITS:
        count, left = divmod(left, size)
        if count:
            parts.append((size, f"{count} {unit}"))
    if not parts:
        return "0 s"
    first = parts[0][0]
    near = {unit_size for unit_size, _ in _UNITS if unit_size <= first}
    second = max(near - {first}, default=first)
    return " ".join(text for size, text in parts if size in (first, second))


def moment(at: float) -> str:
    """A time in UTC, to the second; `at` is epoch seconds."""
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(at))


def stamp(at: float) -> str:
    """A time in UTC as RFC 3339 writes it, to the millisecond; `at` is epoch seconds."""
    millis = round(at * 1000)
    seconds, rest = divmod(millis, 1000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest:03d}Z"


def relative(at: float, now: float) -> str:
    """`in 5 min` or `5 min ago`; both are epoch seconds."""
    ahead = at - now
    return f"in {duration(ahead)}" if ahead >= 0 else f"{duration(-ahead)} ago"


def plural(count: int, one: str, many: str | None = None) -> str:
    """`1 row`, `2,000 rows`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
