"""Tells mistakes and outages, which get one line, from bugs, which keep their traceback."""

from __future__ import annotations

from collections.abc import Iterator

from campaignd.errors import Outage, UsageError


def expected(error: BaseException) -> list[str]:
    """The lines that say what is wrong; none if `error`, or any error of a group, is a bug."""
    leaves = list(_leaves(error))
    if not all(isinstance(leaf, UsageError | Outage) for leaf in leaves):
        return []
    return list(dict.fromkeys(" ".join(str(leaf).splitlines()) for leaf in leaves))


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            yield from _leaves(part)
    else:
        yield error
