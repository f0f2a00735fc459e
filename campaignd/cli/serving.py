"""What each command that runs until a signal shares: its loop, and its end as a status."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Final

import uvloop

from campaignd import events
from campaignd.cli.failures import expected

UNCLEAN: Final = 3
"""Exit status when not everything could be ended or given back."""

CRASHED: Final = 70
"""Exit status after a bug: EX_SOFTWARE of sysexits.h."""


def serve(work: Coroutine[Any, Any, bool]) -> int:
    """Runs `work`, which says whether it ended cleanly, to its end; the exit status. Mistakes and
    outages are raised; a bug is logged with its traceback."""
    try:
        clean = uvloop.run(work)
    except Exception as error:
        if expected(error):
            raise
        events.crashed(error)
        return CRASHED
    return 0 if clean else UNCLEAN
