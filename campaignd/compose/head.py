"""The header fields of a campaign's messages: those that are fixed as one piece, and holes."""

from __future__ import annotations

from typing import NamedTuple

from campaignd.compose.headers import mailbox, unstructured
from campaignd.compose.template import Template
from campaignd.errors import RowError, TemplateError


class Hole(NamedTuple):
    """A header field whose value differs between recipients."""

    name: str
    start: bytes
    template: Template
    address: bytes
    """Of a mailbox whose display name the template makes; empty for unstructured fields."""


class Head:
    """All but Date, Message-ID, To and what `links` makes."""

    __slots__ = ("fixed", "holes")

    def __init__(self) -> None:
        self.fixed = b""
        """Whole lines."""
        self.holes: list[Hole] = []

    def add(self, name: str, template: Template, address: bytes = b"") -> None:
        """A field whose value the template makes, or with an address the display name in it.
        Raises TemplateError for a fixed value that no header can hold."""
        if template.constant is None:
            self.holes.append(Hole(name, f"{name}: ".encode("ascii"), template, address))
            return
        try:
            value = (
                mailbox(template.constant, address, name)
                if address
                else unstructured(template.constant, name)
            )
        except RowError as error:
            raise TemplateError(f"{template.origin.locate(1)}: {error}") from None
        self.fixed += b"%s: %s\r\n" % (name.encode("ascii"), value)
