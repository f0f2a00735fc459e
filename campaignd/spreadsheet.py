"""Keeps spreadsheets from running what stands in a CSV file of ours."""

from __future__ import annotations

from typing import Final

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""What makes a spreadsheet take a cell for a formula (OWASP, CSV Injection)."""


def cell(text: str) -> str:
    """The text, with an apostrophe in front if it would be a formula, or would be without some
    that it has in front already."""
    return "'" + text if text.lstrip("'").startswith(_FORMULA) else text


def uncell(text: str) -> str:
    """What `cell` was given to return this."""
    return text[1:] if text.startswith("'") and cell(text) != text else text
