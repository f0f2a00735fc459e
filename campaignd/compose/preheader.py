"""The preheader: text at the start of the HTML that its reader does not see and a mailbox's list of
messages shows."""

from __future__ import annotations

from typing import Final

from markupsafe import escape

from campaignd.compose.markup import masked, tags
from campaignd.compose.text import split_source

_HIDDEN: Final = (
    "display:none;font-size:1px;line-height:1px;max-height:0;max-width:0;opacity:0;overflow:hidden;"
    "mso-hide:all"
)
"""Each of them is what some mail client heeds; `mso-hide` is Outlook's."""

_AFTER: Final = ("body", "/head", "html", "!doctype")
"""It goes after the first of these tags that there is."""


def with_preheader(html: str, preheader: str) -> str:
    """The source of an HTML template with that of a preheader in it, which has been parsed. The
    lines of the HTML stay where they were."""
    hidden = "".join(
        piece if is_construct else str(escape(piece.replace("\n", " "))).replace("{", '{{ "{" }}')
        for is_construct, piece in split_source(preheader)
    )
    ends: dict[str, int] = {}
    for tag in tags(masked(html)):
        ends.setdefault(tag.name, tag.end)
    at = next((ends[name] for name in _AFTER if name in ends), 0)
    return f'{html[:at]}<div style="{_HIDDEN}">{hidden}</div>{html[at:]}'
