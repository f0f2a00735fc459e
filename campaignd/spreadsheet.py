"""Keeps spreadsheets from running what stands in a CSV file of ours."""

from __future__ import annotations

from typing import Final

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""What makes a spreadsheet take a cell for a formula (OWASP, CSV Injection)."""


def cell(text: str) -> str:
    """The text, with an apostrophe in front if it would be a formula."""
    return "'" + text if text.startswith(_FORMULA) else text
