"""What hostile servers say."""

from __future__ import annotations

from typing import Final

from campaignd.smtp.classify import Phase
from tests.fuzz.choices import Choices

GROUP: Final = b"250 2.1.0 ok\r\n250 2.1.5 ok\r\n354 go\r\n"
TAKEN: Final = b"250 2.0.0 queued\r\n"

SAYINGS: Final = (
    b"250 ok\r\n",
    TAKEN,
    b"354 go\r\n",
    GROUP,
    TAKEN + GROUP,
    GROUP + TAKEN,
    b"250-more\r\n250 ok\r\n",
    b"250-more\r\n",
    b"250\r\n",
    b"250 \n",
    b"421 4.3.2 bye\r\n",
    b"421-bye\r\n",
    b"4",
    b"42",
    b"421",
    b"450 4.2.0 later\r\n",
    b"452 4.3.1 full\r\n",
    b"550 5.1.1 who\r\n",
    b"503 5.5.1 what\r\n",
    b"530 5.7.0 first\r\n",
    b"552 5.2.2 much\r\n",
    b"550 5.1.1 who\r\n503 5.5.1 what\r\n503 5.5.1 what\r\n",
    b"250 ok\r\n550 5.1.1 who\r\n354 go\r\n",
    b"250 ok\r\n550 5.1.1 who\r\n554 no\r\n",
    b"221 bye\r\n",
    b"334 cGFzc3dvcmQ=\r\n",
    b"199 x\r\n",
    b"600 x\r\n",
    b"\r\n",
    b"2",
    b"25",
    b"0 ok\r\n",
    b"\0",
    b"\x80",
)


_FITTING: Final = {
    Phase.MAIL: (GROUP, GROUP, b"250 ok\r\n", b"250 ok\r\n550 no\r\n354 go\r\n", b"450 no\r\n"),
    Phase.RCPT: (b"250 ok\r\n", b"250 ok\r\n354 go\r\n", b"550 no\r\n", b"450 no\r\n503 x\r\n"),
    Phase.DATA: (b"354 go\r\n", b"354 go\r\n", b"554 no\r\n"),
    Phase.FINAL_DOT: (TAKEN, TAKEN + GROUP, TAKEN[:9], b"450 later\r\n", b"550 no\r\n" + GROUP),
    Phase.LONE_DOT: (b"250 ok\r\n", b"554 no\r\n"),
    Phase.RSET: (b"250 ok\r\n", b"250 ok\r\n" + GROUP, b"500 no\r\n"),
    Phase.QUIT: (b"221 bye\r\n",),
}
"""What a server that keeps to the rules may say when a reply is due; attacks need a session that
has come some way."""


def speech(choices: Choices, due: Phase) -> bytes:
    """What fits, more often than not."""
    if choices.number(0, 3) and due in _FITTING:
        return choices.pick(_FITTING[due])
    return stream(choices)


def saying(choices: Choices) -> bytes:
    """Something between a reply and noise."""
    if choices.number(0, 7) == 0:
        return choices.octets(12)
    if choices.number(0, 63) == 0:
        long = choices.pick((b"x" * 2_040, b"x" * 2_050, b"x\r\n250-" * 6_000))
        return b"250-" + long + choices.pick((b"\r\n", b""))
    return choices.pick(SAYINGS)


def stream(choices: Choices) -> bytes:
    """Sayings, as long as there are choices for them, but few."""
    said = b""
    for _ in range(choices.number(0, 6)):
        said += saying(choices)
    return said
